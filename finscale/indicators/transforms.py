"""Features of features: lags, changes, and z-scores with their powers and products.

Powers and products are taken of z-scores over a rolling window, so that they are stationary and bounded: a z-score
over n values lies within sqrt(n - 1) of zero, whatever the prices do.
"""

import numpy as np

from finscale.indicators.arrays import lag, ratio, rolling_mean, rolling_rank, rolling_std


def lagged(values: np.ndarray, bars: int) -> np.ndarray:
    return lag(values, bars)


def change(values: np.ndarray, bars: int) -> np.ndarray:
    """Difference to the value `bars` rows before."""
    return values - lag(values, bars)


def z_score(values: np.ndarray, window: int) -> np.ndarray:
    """(value - mean) / standard deviation of the last `window` values; 0 in a flat window."""
    return ratio(values - rolling_mean(values, window), rolling_std(values, window), otherwise=0.0)


def rank(values: np.ndarray, window: int) -> np.ndarray:
    """Share of the last `window` values below this one, 0 to 1."""
    return rolling_rank(values, window)


def square(z: np.ndarray) -> np.ndarray:
    return z * z


def cube(z: np.ndarray) -> np.ndarray:
    return z * z * z


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first * second


def product_with_past(first: np.ndarray, second: np.ndarray, bars: int) -> np.ndarray:
    """The first times the second as it was `bars` rows before."""
    return first * lag(second, bars)
