"""Circular block bootstrap over days (Politis and Romano 1992), by the arch package."""

import math

import numpy as np
import pandas as pd
from arch.bootstrap import CircularBlockBootstrap, optimal_block_length


def choose_block_length(daily_loss: np.ndarray, horizon_days: int) -> int:
    """Days per block: Politis and White's (2004) choice for this series, at least the label's horizon."""
    if np.ptp(daily_loss) == 0:  # a constant series has no dependence to keep
        return horizon_days
    automatic = float(optimal_block_length(daily_loss)["circular"].iloc[0])
    return max(horizon_days, math.ceil(automatic)) if math.isfinite(automatic) else horizon_days


def row_weights(days: np.ndarray, block_length: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row is drawn in each resample, (resamples, rows).

    days: one value per row; all rows of a day (several assets) are drawn together. The last day is
    followed by the first, so that days at the ends are drawn as often as those between.
    """
    unique, day_of_row = np.unique(days, return_inverse=True)
    positions = np.arange(len(unique))
    bootstrap = CircularBlockBootstrap(min(block_length, len(unique)), positions, seed=seed)
    counts = [np.bincount(drawn[0][0], minlength=len(unique)) for drawn in bootstrap.bootstrap(resamples)]
    return np.array(counts, dtype=float)[:, day_of_row]


def daily_means(values: np.ndarray, days: pd.Series) -> pd.Series:
    """The mean over each day's rows, in order of time, indexed by day."""
    return pd.Series(values).groupby(days.to_numpy()).mean()


def percentile_interval(resampled: np.ndarray, confidence: float) -> tuple[float, float]:
    """Low and high of the resamples in which the quantity is defined (not NaN)."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return float(low), float(high)
