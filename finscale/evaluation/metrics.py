"""Loss and skill of predictions (SPEC 10), point value and block-bootstrap interval together.

Rows are (asset, day); days are resampled in blocks because labels of overlapping horizons, and
assets on one day, are dependent. R resamples, n rows, k sums. `draws`: the resamples; `enclosed`: the share of them
that an interval holds (bootstrap.resample). finscale/evaluation/secondary.py has the other metrics.
"""

from dataclasses import dataclass

import numpy as np

from finscale.evaluation.bootstrap import Draws, percentile_interval

COLLAPSED_STD = {True: 1e-3, False: 1e-6}  # of probabilities, of returns
PROBABILITY_FLOOR = 1e-6  # nothing is scored as surer than this

Sums = dict[str, np.ndarray]  # weighted means over rows, one value per resample


@dataclass(frozen=True)
class Score:
    """A metric on the real rows, and its percentile interval over the resamples."""

    value: float
    low: float
    high: float


def log_loss_rows(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Log-loss of each row in nats; probabilities are kept 1e-6 away from 0 and 1."""
    p = np.clip(probability, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


def squared_error_rows(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (label - prediction) ** 2


def loss_rows(label: np.ndarray, prediction: np.ndarray, binary: bool) -> np.ndarray:
    """The loss a task is judged by: log-loss, or squared error."""
    return log_loss_rows(label, prediction) if binary else squared_error_rows(label, prediction)


def mean_score(rows: np.ndarray, draws: Draws, enclosed: float) -> Score:
    """Mean of a per-row quantity."""
    return Score(float(rows.mean()), *percentile_interval(_means(rows, draws), enclosed))


def skill_score(rows: np.ndarray, reference: np.ndarray, draws: Draws, enclosed: float) -> Score:
    """1 - loss / reference loss, both on the same rows of each resample."""
    resampled = 1 - _means(rows, draws) / _means(reference, draws)
    return Score(float(1 - rows.mean() / reference.mean()), *percentile_interval(resampled, enclosed))


def information_rows(label: np.ndarray, prediction: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Clark and West's (2007) adjusted difference of squared errors, halved: (y - b)(p - b).

    A model that has learnt noise loses to the base rate b even where there is nothing to know, by the noise that
    it adds; the adjustment takes that out. The mean is 0 where p knows nothing of y, and above 0 where it does.
    """
    return (label - base) * (prediction - base)


def resampled_means(rows: Sums, draws: Draws) -> Sums:
    """Weighted mean of each per-row quantity in each resample: {name: (n,)} -> {name: (R,)}."""
    sums_Tk = np.column_stack([draws.of_days(one) for one in rows.values()])
    means_Rk = draws.counts @ sums_Tk / draws.sizes[:, None]
    return dict(zip(rows, means_Rk.T, strict=True))


def _means(rows: np.ndarray, draws: Draws) -> np.ndarray:
    return np.asarray(draws.sums(rows) / draws.sizes)
