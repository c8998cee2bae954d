"""Momentum oscillators (TA-Lib definitions)."""

import numpy as np
import pandas as pd
import talib


def rsi(bars: pd.DataFrame, period: int) -> np.ndarray:
    """Relative strength index with Wilder's smoothing, 0 to 100."""
    return talib.RSI(bars["close"].to_numpy(), period)


def stochrsi(bars: pd.DataFrame, period: int, fast_k: int, fast_d: int) -> np.ndarray:
    """Stochastic of the RSI, its fast %K line, 0 to 100."""
    return talib.STOCHRSI(bars["close"].to_numpy(), period, fast_k, fast_d)[0]


def macd_line(bars: pd.DataFrame, fast: int, slow: int) -> np.ndarray:
    """Difference of a fast and a slow EMA, in price units (the signal line does not enter)."""
    return talib.MACD(bars["close"].to_numpy(), fast, slow, 9)[0]
