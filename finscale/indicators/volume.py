"""Volume indicators (TA-Lib definitions, and a rolling VWAP that TA-Lib lacks)."""

import numpy as np
import pandas as pd
import talib


def obv(bars: pd.DataFrame) -> np.ndarray:
    """On-balance volume: volume summed with the sign of the close's change, from the first bar."""
    return talib.OBV(bars["close"].to_numpy(), bars["volume"].to_numpy())


def adosc(bars: pd.DataFrame, fast: int, slow: int) -> np.ndarray:
    """Chaikin oscillator: fast minus slow EMA of the accumulation/distribution line."""
    high, low, close, volume = (bars[name].to_numpy() for name in ("high", "low", "close", "volume"))
    return talib.ADOSC(high, low, close, volume, fast, slow)


def vwap(bars: pd.DataFrame, period: int) -> np.ndarray:
    """Rolling volume-weighted average of the typical price (H + L + C) / 3.

    Where a whole window trades no volume the average is undefined; the plain mean stands in.
    """
    typical = (bars["high"] + bars["low"] + bars["close"]).to_numpy() / 3
    volume = bars["volume"].to_numpy()
    price_volume = talib.SUM(typical * volume, period)
    total = talib.SUM(volume, period)
    plain = talib.SMA(typical, period)
    return np.where(total > 0, price_volume / np.where(total > 0, total, 1.0), plain)
