"""Volume indicators (TA-Lib definitions where it has them).

Where a whole window trades no volume each function states what stands in.
"""

import numpy as np
import talib

from finscale.indicators.arrays import Bars, lag, ratio, rolling_correlation, rolling_sum
from finscale.indicators.price import log_return


def obv(bars: Bars) -> np.ndarray:
    """On-balance volume: volume summed with the sign of the close's change, from the first bar."""
    return talib.OBV(bars.close, bars.volume)


def adosc(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Chaikin oscillator: fast minus slow EMA of the accumulation/distribution line."""
    return talib.ADOSC(bars.high, bars.low, bars.close, bars.volume, fast, slow)


def vwap(bars: Bars, period: int) -> np.ndarray:
    """Rolling volume-weighted average of the typical price (H + L + C) / 3.

    Where a whole window trades no volume the average is undefined; the plain mean stands in.
    """
    typical = bars.typical
    price_volume = talib.SUM(typical * bars.volume, period)
    total = talib.SUM(bars.volume, period)
    plain = talib.SMA(typical, period)
    return np.where(total > 0, price_volume / np.where(total > 0, total, 1.0), plain)


def vwap_distance(bars: Bars, period: int) -> np.ndarray:
    """(close - rolling VWAP) / close; the plain mean stands in for the VWAP of a window without volume."""
    typical = bars.typical
    average = ratio(rolling_sum(typical * bars.volume, period), rolling_sum(bars.volume, period), otherwise=np.nan)
    plain = talib.SMA(typical, period)
    return (bars.close - np.where(np.isnan(average), plain, average)) / bars.close


def volume_ratio(bars: Bars, period: int) -> np.ndarray:
    """Volume over its mean; 1 without volume."""
    return ratio(bars.volume * period, rolling_sum(bars.volume, period), otherwise=1.0)


def volume_change(bars: Bars, period: int) -> np.ndarray:
    """log((1 + volume) / (1 + volume `period` bars before)); the 1 gives bars without volume a value."""
    return np.log((1 + bars.volume) / (1 + lag(bars.volume, period)))


def volume_variation(bars: Bars, period: int) -> np.ndarray:
    """Standard deviation of log(1 + volume) changes from bar to bar, root mean square."""
    changes = volume_change(bars, 1)
    return np.sqrt(rolling_sum(changes * changes, period) / period)


def mfi(bars: Bars, period: int) -> np.ndarray:
    """Money flow index, 0 to 100."""
    return talib.MFI(bars.high, bars.low, bars.close, bars.volume, period)


def cmf(bars: Bars, period: int) -> np.ndarray:
    """Chaikin money flow, -1 to 1; 0 without volume."""
    return talib.CMF(bars.high, bars.low, bars.close, bars.volume, period)


def obv_change(bars: Bars, period: int) -> np.ndarray:
    """Change of the on-balance volume over the volume traded meanwhile, -1 to 1; 0 without volume."""
    signed = np.sign(bars.close - lag(bars.close, 1)) * bars.volume
    return ratio(rolling_sum(signed, period), rolling_sum(bars.volume, period), otherwise=0.0)


def adosc_ratio(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Chaikin oscillator over the mean volume of the slow period; 0 without volume."""
    return ratio(adosc(bars, fast, slow) * slow, rolling_sum(bars.volume, slow), otherwise=0.0)


def volume_weighted_return(bars: Bars, period: int) -> np.ndarray:
    """Mean log return weighted by volume (price volume trend per volume); 0 without volume."""
    weighted = rolling_sum(log_return(bars, 1) * bars.volume, period)
    return ratio(weighted, rolling_sum(bars.volume, period), otherwise=0.0)


def force(bars: Bars, period: int) -> np.ndarray:
    """Elder's force index over the close and the mean volume; 0 without volume."""
    scale = bars.close * rolling_sum(bars.volume, period) / period
    return ratio(talib.EFI(bars.close, bars.volume, period), scale, otherwise=0.0)


def pvo(bars: Bars, fast: int, slow: int) -> np.ndarray:
    """Percentage volume oscillator: fast minus slow EMA of the volume over the slow one."""
    return talib.PVO(bars.volume, fast, slow)


def price_volume_correlation(bars: Bars, period: int) -> np.ndarray:
    """Correlation of log returns with volume changes; 0 where one of them is flat."""
    return rolling_correlation(log_return(bars, 1), volume_change(bars, 1), period)


def range_volume_correlation(bars: Bars, period: int) -> np.ndarray:
    """Correlation of the bars' ranges with log(1 + volume); 0 where one of them is flat."""
    return rolling_correlation((bars.high - bars.low) / bars.close, np.log1p(bars.volume), period)
