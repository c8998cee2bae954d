"""Moving averages of the close (TA-Lib definitions)."""

import numpy as np
import pandas as pd
import talib


def sma(bars: pd.DataFrame, period: int) -> np.ndarray:
    """Simple moving average."""
    return talib.SMA(bars["close"].to_numpy(), period)


def dema(bars: pd.DataFrame, period: int) -> np.ndarray:
    """Double exponential moving average, 2 EMA - EMA(EMA) (Mulloy 1994)."""
    return talib.DEMA(bars["close"].to_numpy(), period)
