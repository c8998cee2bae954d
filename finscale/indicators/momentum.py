"""Momentum oscillators (TA-Lib definitions; price units are divided by the close)."""

import numpy as np
import talib
from talib import MA_Type  # type: ignore[attr-defined]  # its stubs leave it out

from finscale.indicators.arrays import Bars, lag, ratio


def rsi(bars: Bars, period: int) -> np.ndarray:
    """Relative strength index with Wilder's smoothing, 0 to 100."""
    return talib.RSI(bars.close, period)


def stochrsi(bars: Bars, period: int, fast_k: int, fast_d: int) -> np.ndarray:
    """Stochastic of the RSI, its fast %K line, 0 to 100."""
    return talib.STOCHRSI(bars.close, period, fast_k, fast_d)[0]


def stochrsi_d(bars: Bars, period: int, fast_k: int, fast_d: int) -> np.ndarray:
    """Stochastic of the RSI, its %D line, 0 to 100."""
    return talib.STOCHRSI(bars.close, period, fast_k, fast_d)[1]


def macd_line(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Difference of a fast and a slow EMA, in price units (the signal line does not enter)."""
    return talib.MACD(bars.close, fast, slow, 9)[0]


def macd_signal(bars: Bars, fast: int, slow: int, signal: int) -> np.ndarray:
    """Signal line of the MACD over the close, in percent."""
    return 100 * talib.MACD(bars.close, fast, slow, signal)[1] / bars.close


def macd_histogram(bars: Bars, fast: int, slow: int, signal: int) -> np.ndarray:
    """MACD minus its signal line over the close, in percent."""
    return 100 * talib.MACD(bars.close, fast, slow, signal)[2] / bars.close


def ppo(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Percentage price oscillator: MACD line over the slow EMA, in percent."""
    return talib.PPO(bars.close, fast, slow, MA_Type.EMA)


def stochastic_k(bars: Bars, fast_k: int, slow_k: int, slow_d: int) -> np.ndarray:
    """Slow %K, 0 to 100."""
    return talib.STOCH(bars.high, bars.low, bars.close, fast_k, slow_k, slowd_period=slow_d)[0]


def stochastic_d(bars: Bars, fast_k: int, slow_k: int, slow_d: int) -> np.ndarray:
    """Slow %D, 0 to 100."""
    return talib.STOCH(bars.high, bars.low, bars.close, fast_k, slow_k, slowd_period=slow_d)[1]


def williams_r(bars: Bars, period: int) -> np.ndarray:
    """Williams %R, -100 to 0."""
    return talib.WILLR(bars.high, bars.low, bars.close, period)


def cci(bars: Bars, period: int) -> np.ndarray:
    """Commodity channel index."""
    return talib.CCI(bars.high, bars.low, bars.close, period)


def trix(bars: Bars, period: int) -> np.ndarray:
    """Rate of change of a triple EMA, percent per bar."""
    return talib.TRIX(bars.close, period)


def ultimate(bars: Bars, short: int, middle: int, long: int) -> np.ndarray:
    """Ultimate oscillator, 0 to 100."""
    return talib.ULTOSC(bars.high, bars.low, bars.close, short, middle, long)


def tsi(bars: Bars, slow: int, fast: int) -> np.ndarray:
    """True strength index, -100 to 100."""
    return talib.TSI(bars.close, slow, fast)


def smi(bars: Bars, period: int, fast: int, slow: int) -> np.ndarray:
    """Stochastic momentum index, -100 to 100 (its signal line does not enter)."""
    return talib.SMI(bars.high, bars.low, bars.close, period, fast, slow, 2)[0]


def coppock(bars: Bars, weighted: int, short: int, long: int) -> np.ndarray:
    """Coppock curve: weighted average of two rates of change, in percent."""
    return talib.COPPOCK(bars.close, weighted, short, long)


def awesome(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Awesome oscillator over the close."""
    return talib.AO(bars.high, bars.low, fast, slow) / bars.close


def balance_of_power(bars: Bars, period: int) -> np.ndarray:
    """Mean of (close - open) / (high - low), 0 for a bar without range."""
    return talib.SMA(talib.BOP(bars.open, bars.high, bars.low, bars.close), period)


def intraday_momentum(bars: Bars, period: int) -> np.ndarray:
    """Intraday momentum index: share of upward bodies in all bodies, 0 to 100."""
    return talib.IMI(bars.open, bars.close, period)


def change_per_atr(bars: Bars, period: int, atr: int) -> np.ndarray:
    """Change of the close over `period` bars in units of the average true range; 0 without range."""
    true_range = talib.ATR(bars.high, bars.low, bars.close, atr)
    return ratio(bars.close - lag(bars.close, period), true_range, otherwise=0.0)
