"""Volatility: ranges, bands, and estimators of the daily variance (not annualised)."""

import numpy as np
import talib

from finscale.indicators.arrays import Bars, lag, ratio, rolling_mean, rolling_moment, rolling_std
from finscale.indicators.price import log_return


def atr(bars: Bars, period: int) -> np.ndarray:
    """Average true range with Wilder's smoothing, in price units."""
    return talib.ATR(bars.high, bars.low, bars.close, period)


def natr(bars: Bars, period: int) -> np.ndarray:
    """Average true range over the close, in percent."""
    return talib.NATR(bars.high, bars.low, bars.close, period)


def true_range_ratio(bars: Bars, period: int) -> np.ndarray:
    """True range over the average true range; 1 where nothing has moved."""
    return ratio(talib.TRANGE(bars.high, bars.low, bars.close), atr(bars, period), otherwise=1.0)


def atr_ratio(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Fast over slow average true range; 1 where nothing has moved."""
    return ratio(atr(bars, fast), atr(bars, slow), otherwise=1.0)


def bollinger_percent_b(bars: Bars, period: int, deviations: float) -> np.ndarray:
    """Where the close lies between the Bollinger bands: 0 at the lower, 1 at the upper."""
    upper, _, lower = talib.BBANDS(bars.close, period, deviations, deviations)
    # A flat window has no width; its close sits on both bands, halfway by convention.
    return ratio(bars.close - lower, np.where(upper > lower, upper - lower, 0 * upper), otherwise=0.5)


def bollinger_width(bars: Bars, period: int, deviations: float) -> np.ndarray:
    """Upper minus lower Bollinger band over the middle band."""
    upper, middle, lower = talib.BBANDS(bars.close, period, deviations, deviations)
    return (upper - lower) / middle


def keltner_position(bars: Bars, period: int, atr_period: int) -> np.ndarray:
    """Where the close lies in the Keltner channel of 2 ATR: 0 at the lower band, 1 at the upper; 0.5 without width."""
    upper, _, lower = talib.KC(bars.high, bars.low, bars.close, period, atr_period, 2.0)
    return ratio(bars.close - lower, upper - lower, otherwise=0.5)


def historical(bars: Bars, period: int) -> np.ndarray:
    """Standard deviation of log returns."""
    return rolling_std(log_return(bars, 1), period, ddof=1)


def parkinson(bars: Bars, period: int) -> np.ndarray:
    """Parkinson (1980): from the range of each bar."""
    return np.sqrt(rolling_mean(np.log(bars.high / bars.low) ** 2, period) / (4 * np.log(2)))


def garman_klass(bars: Bars, period: int) -> np.ndarray:
    """Garman and Klass (1980): range and body; a negative estimate counts as zero."""
    range_term = 0.5 * np.log(bars.high / bars.low) ** 2
    body_term = (2 * np.log(2) - 1) * np.log(bars.close / bars.open) ** 2
    return np.sqrt(np.maximum(rolling_mean(range_term - body_term, period), 0.0))


def rogers_satchell(bars: Bars, period: int) -> np.ndarray:
    """Rogers and Satchell (1991): unbiased under drift."""
    return np.sqrt(np.maximum(rolling_mean(_rogers_satchell_terms(bars), period), 0.0))


def yang_zhang(bars: Bars, period: int) -> np.ndarray:
    """Yang and Zhang (2000): overnight and open-to-close variances and Rogers-Satchell, least variance weights."""
    overnight = rolling_moment(np.log(bars.open / lag(bars.close, 1)), period, 2) * period / (period - 1)
    intraday = rolling_moment(np.log(bars.close / bars.open), period, 2) * period / (period - 1)
    k = 0.34 / (1.34 + (period + 1) / (period - 1))
    drift_free = rolling_mean(_rogers_satchell_terms(bars), period)
    return np.sqrt(np.maximum(overnight + k * intraday + (1 - k) * drift_free, 0.0))


def _rogers_satchell_terms(bars: Bars) -> np.ndarray:
    up = np.log(bars.high / bars.close) * np.log(bars.high / bars.open)
    return up + np.log(bars.low / bars.close) * np.log(bars.low / bars.open)


def volatility_ratio(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Historical volatility of a short over a long window; 1 where nothing has moved."""
    return ratio(historical(bars, fast), historical(bars, slow), otherwise=1.0)


def skewness(bars: Bars, period: int) -> np.ndarray:
    """Third standardised moment of log returns; 0 where nothing moved."""
    returns = log_return(bars, 1)
    return ratio(rolling_moment(returns, period, 3), rolling_moment(returns, period, 2) ** 1.5, otherwise=0.0)


def kurtosis(bars: Bars, period: int) -> np.ndarray:
    """Fourth standardised moment of log returns; 0 where nothing moved."""
    returns = log_return(bars, 1)
    return ratio(rolling_moment(returns, period, 4), rolling_moment(returns, period, 2) ** 2, otherwise=0.0)


def downside_share(bars: Bars, period: int) -> np.ndarray:
    """Share of falling bars in the sum of squared log returns, 0 to 1; 0.5 where nothing moved."""
    squares = log_return(bars, 1) ** 2
    falling = np.where(log_return(bars, 1) > 0, 0.0, squares)
    return ratio(rolling_mean(falling, period), rolling_mean(squares, period), otherwise=0.5)


def volatility_of_range(bars: Bars, period: int) -> np.ndarray:
    """Standard deviation of the bars' relative ranges over their mean; 0 where no bar has a range."""
    width = (bars.high - bars.low) / bars.close
    return ratio(rolling_std(width, period), rolling_mean(width, period), otherwise=0.0)


def ulcer(bars: Bars, period: int) -> np.ndarray:
    """Ulcer index: root mean square drawdown from the running high of the window, in percent."""
    peak = talib.MAX(bars.close, period)
    return np.sqrt(rolling_mean((100 * (bars.close - peak) / peak) ** 2, period))


def mass(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Mass index: sum of the ratio of an EMA of the range to its own EMA."""
    return talib.MASSI(bars.high, bars.low, fast, slow)


def chaikin_volatility(bars: Bars, period: int, change: int) -> np.ndarray:
    """Rate of change of the EMA of the range, in percent; 0 from a range of zero."""
    return talib.CVI(bars.high, bars.low, period, change)


def relative_volatility(bars: Bars, period: int, deviation: int) -> np.ndarray:
    """Relative volatility index (Dorsey 1993): share of upward deviation, 0 to 100."""
    return talib.RVI(bars.close, period, deviation)
