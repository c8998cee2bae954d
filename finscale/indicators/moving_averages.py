"""Moving averages of the close: the levels of tier a20, and distances and spreads as fractions of the close.

Levels of one asset correlate beyond 0.9999 with one another; how far the close is from them does not.
Divided by the close and not by the average: a double or triple average can cross zero after a crash.
"""

from collections.abc import Callable

import numpy as np
import talib

from finscale.indicators.arrays import Bars, lag

Average = Callable[[np.ndarray, int], np.ndarray]


def sma(bars: Bars, period: int) -> np.ndarray:
    """Simple moving average, in price units."""
    return talib.SMA(bars.close, period)


def dema(bars: Bars, period: int) -> np.ndarray:
    """Double exponential moving average, 2 EMA - EMA(EMA) (Mulloy 1994), in price units."""
    return talib.DEMA(bars.close, period)


def distance(average: Average, bars: Bars, period: int) -> np.ndarray:
    """(close - average) / close."""
    return (bars.close - average(bars.close, period)) / bars.close


def spread(average: Average, bars: Bars, fast: int, slow: int) -> np.ndarray:
    """(fast average - slow average) / close; its sign is the crossover's state."""
    return (average(bars.close, fast) - average(bars.close, slow)) / bars.close


def slope(average: Average, bars: Bars, period: int, change: int) -> np.ndarray:
    """Change of the average over `change` bars, as a fraction of the close."""
    values = average(bars.close, period)
    return (values - lag(values, change)) / bars.close


def midprice_distance(bars: Bars, period: int) -> np.ndarray:
    """(close - middle of the period's high and low) / close (Ichimoku's lines, Donchian's middle)."""
    return (bars.close - talib.MIDPRICE(bars.high, bars.low, period)) / bars.close
