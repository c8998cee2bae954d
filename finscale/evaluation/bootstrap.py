"""Moving-block bootstrap over days (Kunsch 1989), by the arch package."""

import math

import numpy as np
from arch.bootstrap import MovingBlockBootstrap, optimal_block_length


def choose_block_length(daily_loss: np.ndarray, horizon_days: int) -> int:
    """Days per block: Politis and White's (2004) choice for this series, at least the label's horizon."""
    # Their rule is for circular blocks, of the same order as moving ones.
    automatic = float(optimal_block_length(daily_loss)["circular"].iloc[0])
    if not math.isfinite(automatic):  # a constant series has no dependence to keep
        automatic = 1.0
    return max(horizon_days, math.ceil(automatic))


def row_weights(days: np.ndarray, block_length: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row is drawn in each resample, (resamples, rows).

    days: one value per row; all rows of a day (several assets) are drawn together.
    """
    unique, day_of_row = np.unique(days, return_inverse=True)
    positions = np.arange(len(unique))
    bootstrap = MovingBlockBootstrap(min(block_length, len(unique)), positions, seed=seed)
    counts = [np.bincount(drawn[0][0], minlength=len(unique)) for drawn in bootstrap.bootstrap(resamples)]
    return np.array(counts, dtype=float)[:, day_of_row]


def percentile_interval(resampled: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)
