"""Trend strength (TA-Lib definitions)."""

import numpy as np
import pandas as pd
import talib


def adx(bars: pd.DataFrame, period: int) -> np.ndarray:
    """Average directional index (Wilder 1978), 0 to 100."""
    return talib.ADX(bars["high"].to_numpy(), bars["low"].to_numpy(), bars["close"].to_numpy(), period)
