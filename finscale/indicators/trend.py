"""Trend strength and direction (TA-Lib definitions; price units are divided by the close)."""

import numpy as np
import talib

from finscale.indicators.arrays import Bars, lag, ratio, rolling_correlation, rolling_sum


def adx(bars: Bars, period: int) -> np.ndarray:
    """Average directional index (Wilder 1978), 0 to 100."""
    return talib.ADX(bars.high, bars.low, bars.close, period)


def plus_di(bars: Bars, period: int) -> np.ndarray:
    """Positive directional indicator, 0 to 100."""
    return talib.PLUS_DI(bars.high, bars.low, bars.close, period)


def minus_di(bars: Bars, period: int) -> np.ndarray:
    """Negative directional indicator, 0 to 100."""
    return talib.MINUS_DI(bars.high, bars.low, bars.close, period)


def dx(bars: Bars, period: int) -> np.ndarray:
    """Directional movement index, the ADX before smoothing, 0 to 100."""
    return talib.DX(bars.high, bars.low, bars.close, period)


def aroon_up(bars: Bars, period: int) -> np.ndarray:
    """How recent the period's highest high is, 0 to 100."""
    return talib.AROON(bars.high, bars.low, period)[1]


def aroon_down(bars: Bars, period: int) -> np.ndarray:
    """How recent the period's lowest low is, 0 to 100."""
    return talib.AROON(bars.high, bars.low, period)[0]


def aroon_oscillator(bars: Bars, period: int) -> np.ndarray:
    """Aroon up minus Aroon down, -100 to 100."""
    return talib.AROONOSC(bars.high, bars.low, period)


def sar_distance(bars: Bars, acceleration: float, maximum: float) -> np.ndarray:
    """(close - parabolic SAR) / close: positive in an up-trend."""
    return (bars.close - talib.SAR(bars.high, bars.low, acceleration, maximum)) / bars.close


def supertrend_distance(bars: Bars, period: int, multiplier: float) -> np.ndarray:
    """(close - supertrend line) / close: positive in an up-trend."""
    return (bars.close - talib.SUPERTREND(bars.high, bars.low, bars.close, period, multiplier)[0]) / bars.close


def regression_slope(bars: Bars, period: int) -> np.ndarray:
    """Least-squares slope of the close per bar over the close, in percent."""
    return 100 * talib.LINEARREG_SLOPE(bars.close, period) / bars.close


def time_correlation(bars: Bars, period: int) -> np.ndarray:
    """Correlation of the close with time, -1 to 1; 0 for a flat window."""
    return rolling_correlation(bars.close, np.arange(len(bars.close), dtype=float), period)


def vortex(bars: Bars, period: int) -> np.ndarray:
    """Positive minus negative vortex indicator."""
    plus, minus = talib.VORTEX(bars.high, bars.low, bars.close, period)
    return plus - minus


def choppiness(bars: Bars, period: int) -> np.ndarray:
    """Choppiness index: 100 without net movement; 100 too where no bar has a range."""
    travelled = rolling_sum(talib.TRANGE(bars.high, bars.low, bars.close), period)
    width = talib.MAX(bars.high, period) - talib.MIN(bars.low, period)
    return 100 * np.log(ratio(travelled, width, otherwise=float(period))) / np.log(period)


def vertical_horizontal(bars: Bars, period: int) -> np.ndarray:
    """Vertical horizontal filter: range of the closes over the sum of their changes; 0 where nothing moved."""
    return talib.VHF(bars.close, period)


def efficiency(bars: Bars, period: int) -> np.ndarray:
    """Kaufman's efficiency ratio: net over total movement of the close, signed; 0 where nothing moved."""
    travelled = rolling_sum(np.abs(bars.close - lag(bars.close, 1)), period)
    return ratio(bars.close - lag(bars.close, period), travelled, otherwise=0.0)


def cycle_period(bars: Bars) -> np.ndarray:
    """Dominant cycle of the close by Hilbert transform (Ehlers), in bars."""
    return talib.HT_DCPERIOD(bars.close)


def cycle_sine(bars: Bars) -> np.ndarray:
    """Sine of the dominant cycle's phase (Ehlers), -1 to 1."""
    return talib.HT_SINE(bars.close)[0]


def cycle_lead_sine(bars: Bars) -> np.ndarray:
    """Sine of the dominant cycle's phase 45 degrees ahead (Ehlers), -1 to 1; made of past closes alone."""
    return talib.HT_SINE(bars.close)[1]


def cycle_trendline_distance(bars: Bars) -> np.ndarray:
    """(close - instantaneous trendline) / close (Ehlers)."""
    return (bars.close - talib.HT_TRENDLINE(bars.close)) / bars.close
