"""Returns, the shape of a bar, and where the price stands in its recent range."""

import numpy as np
import talib

from finscale.indicators.arrays import Bars, lag, ratio, rolling_mean, rolling_sum


def simple_return(bars: Bars, period: int) -> np.ndarray:
    """close[t] / close[t - period] - 1."""
    return bars.close / lag(bars.close, period) - 1


def log_return(bars: Bars, period: int) -> np.ndarray:
    """log(close[t] / close[t - period])."""
    return np.log(bars.close / lag(bars.close, period))


def body(bars: Bars) -> np.ndarray:
    """close / open - 1: the return within the bar."""
    return bars.close / bars.open - 1


def gap(bars: Bars) -> np.ndarray:
    """open / previous close - 1."""
    return bars.open / lag(bars.close, 1) - 1


def bar_range(bars: Bars) -> np.ndarray:
    """(high - low) / close."""
    return (bars.high - bars.low) / bars.close


def close_location(bars: Bars) -> np.ndarray:
    """Where the close lies in the bar, 0 at the low, 1 at the high; 0.5 for a bar without range."""
    return ratio(bars.close - bars.low, bars.high - bars.low, otherwise=0.5)


def upper_shadow(bars: Bars) -> np.ndarray:
    """High above the body, as a fraction of the close."""
    return (bars.high - np.maximum(bars.open, bars.close)) / bars.close


def lower_shadow(bars: Bars) -> np.ndarray:
    """Body above the low, as a fraction of the close."""
    return (np.minimum(bars.open, bars.close) - bars.low) / bars.close


def mean_body(bars: Bars, period: int) -> np.ndarray:
    return rolling_mean(body(bars), period)


def mean_gap(bars: Bars, period: int) -> np.ndarray:
    return rolling_mean(gap(bars), period)


def drawdown(bars: Bars, period: int) -> np.ndarray:
    """Close over the highest close of the period, minus 1: zero or negative."""
    return bars.close / talib.MAX(bars.close, period) - 1


def rise(bars: Bars, period: int) -> np.ndarray:
    """Close over the lowest close of the period, minus 1: zero or positive."""
    return bars.close / talib.MIN(bars.close, period) - 1


def up_share(bars: Bars, period: int) -> np.ndarray:
    """Share of the last bars that closed higher than the one before (psychological line)."""
    previous = lag(bars.close, 1)
    return rolling_mean(np.where(np.isnan(previous), np.nan, bars.close > previous), period)


def largest_return(bars: Bars, period: int) -> np.ndarray:
    return talib.MAX(simple_return(bars, 1), period)


def smallest_return(bars: Bars, period: int) -> np.ndarray:
    return talib.MIN(simple_return(bars, 1), period)


def return_per_risk(bars: Bars, period: int) -> np.ndarray:
    """Sum of log returns over the root of the sum of their squares; 0 where nothing moved."""
    returns = log_return(bars, 1)
    return ratio(rolling_sum(returns, period), np.sqrt(rolling_sum(returns * returns, period)), otherwise=0.0)


def autocorrelation(bars: Bars, period: int) -> np.ndarray:
    """Mean product of neighbouring log returns over their mean square; 0 where nothing moved."""
    returns = log_return(bars, 1)
    squares = rolling_sum(returns * returns, period)
    return ratio(rolling_sum(returns * lag(returns, 1), period), squares, otherwise=0.0)
