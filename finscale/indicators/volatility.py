"""Volatility indicators (TA-Lib definitions)."""

import numpy as np
import pandas as pd
import talib


def atr(bars: pd.DataFrame, period: int) -> np.ndarray:
    """Average true range with Wilder's smoothing, in price units."""
    return talib.ATR(bars["high"].to_numpy(), bars["low"].to_numpy(), bars["close"].to_numpy(), period)


def bollinger_percent_b(bars: pd.DataFrame, period: int, deviations: float) -> np.ndarray:
    """Where the close lies between the Bollinger bands: 0 at the lower, 1 at the upper."""
    close = bars["close"].to_numpy()
    upper, _, lower = talib.BBANDS(close, period, deviations, deviations)
    width = upper - lower
    # A flat window has no width; its close sits on both bands, halfway by convention.
    return np.where(
        width > 0, (close - lower) / np.where(width > 0, width, 1.0), np.where(np.isnan(width), np.nan, 0.5)
    )
