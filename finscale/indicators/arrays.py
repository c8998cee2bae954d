"""Bars as arrays, and rolling windows whose value on a row depends on that window alone.

Windows are summed term by term, not by a running sum: no rounding error is carried along the history, a flat
window has exactly zero variance, and a value does not change when the history is cut or extended.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Bars(NamedTuple):
    """Bars of one asset, float64 arrays of shape (rows,)."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Bars":
        return cls(*(np.ascontiguousarray(frame[name], dtype=float) for name in cls._fields))

    @property
    def typical(self) -> np.ndarray:
        return (self.high + self.low + self.close) / 3


def lag(values: np.ndarray, bars: int) -> np.ndarray:
    """The value `bars` rows earlier; NaN on the first rows."""
    result = np.full(len(values), np.nan)
    result[bars:] = values[: max(len(values) - bars, 0)]
    return result


def ratio(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    """numerator / denominator, and `otherwise` where the denominator is zero; NaN stays NaN."""
    result = np.where(np.isnan(numerator), np.nan, otherwise)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def rolling_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sum of the last `window` values."""
    result = np.full(len(values), np.nan)
    if len(values) >= window:
        total = values[window - 1 :].copy()
        for back in range(1, window):
            total += values[window - 1 - back : len(values) - back]
        result[window - 1 :] = total
    return result


def rolling_mean(values: np.ndarray, window: int) -> np.ndarray:
    return rolling_sum(values, window) / window


def rolling_moment(values: np.ndarray, window: int, power: int) -> np.ndarray:
    """Central moment of the last `window` values, power 2 or more (two passes, divided by the window)."""
    mean = rolling_mean(values, window)
    result = np.full(len(values), np.nan)
    if len(values) >= window:
        centre = mean[window - 1 :]
        total = np.zeros(len(centre))
        for back in range(window):
            term = values[window - 1 - back : len(values) - back] - centre
            raised = term * term
            for _ in range(power - 2):
                raised *= term
            total += raised
        result[window - 1 :] = total / window
    return result


def rolling_std(values: np.ndarray, window: int, ddof: int = 0) -> np.ndarray:
    """Standard deviation of the last `window` values."""
    return np.sqrt(rolling_moment(values, window, 2) * (window / (window - ddof)))


def rolling_correlation(x: np.ndarray, y: np.ndarray, window: int) -> np.ndarray:
    """Pearson correlation over the last `window` values; 0 where one of them is flat."""
    mean_x, mean_y = rolling_mean(x, window), rolling_mean(y, window)
    result = np.full(len(x), np.nan)
    if len(x) >= window:
        product = np.zeros(len(x) - window + 1)
        for back in range(window):
            part = slice(window - 1 - back, len(x) - back)
            product += (x[part] - mean_x[window - 1 :]) * (y[part] - mean_y[window - 1 :])
        result[window - 1 :] = product / window
    return ratio(result, rolling_std(x, window) * rolling_std(y, window), otherwise=0.0)


def rolling_rank(values: np.ndarray, window: int) -> np.ndarray:
    """Share of the last `window` values that are below today's, ties counted half (today's own is one): 0 to 1."""
    result = np.full(len(values), np.nan)
    if len(values) >= window:
        today = values[window - 1 :]
        below = np.zeros(len(today))
        for back in range(1, window):
            before = values[window - 1 - back : len(values) - back]
            below += np.where(before < today, 1.0, np.where(before == today, 0.5, 0.0))
        result[window - 1 :] = below / (window - 1)
        result[np.isnan(rolling_sum(values, window))] = np.nan
    return result
