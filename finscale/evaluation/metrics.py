"""Metrics of predictions, point value and block-bootstrap interval together.

Rows are (asset, day); days are resampled in blocks because labels of overlapping horizons, and
assets on one day, are dependent. R resamples, n rows.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from finscale.evaluation.bootstrap import percentile_interval

COLLAPSED_STD = {True: 1e-3, False: 1e-6}  # of probabilities, of returns
_PROBABILITY_FLOOR = 1e-6


@dataclass(frozen=True)
class Score:
    """A metric on the real rows, and its percentile interval over the resamples."""

    value: float
    low: float
    high: float


def log_loss_rows(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Log-loss of each row in nats; probabilities are kept 1e-6 away from 0 and 1."""
    p = np.clip(probability, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


def squared_error_rows(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (label - prediction) ** 2


def loss_rows(label: np.ndarray, prediction: np.ndarray, binary: bool) -> np.ndarray:
    """The loss a task is judged by: log-loss, or squared error."""
    return log_loss_rows(label, prediction) if binary else squared_error_rows(label, prediction)


def mean_score(rows: np.ndarray, weights: np.ndarray, confidence: float) -> Score:
    """Mean of a per-row quantity. weights: (R, n) counts of each row in each resample."""
    return Score(float(rows.mean()), *percentile_interval(_means(rows, weights), confidence))


def skill_score(rows: np.ndarray, reference: np.ndarray, weights: np.ndarray, confidence: float) -> Score:
    """1 - loss / reference loss, both on the same rows of each resample."""
    resampled = 1 - _means(rows, weights) / _means(reference, weights)
    return Score(float(1 - rows.mean() / reference.mean()), *percentile_interval(resampled, confidence))


def auc_score(label: np.ndarray, probability: np.ndarray, weights: np.ndarray, confidence: float) -> Score:
    """Area under the ROC curve; resamples that hold one class only have none and are left out."""
    resampled = [
        roc_auc_score(label[drawn], probability[drawn], sample_weight=w[drawn])
        for w in weights
        if np.unique(label[drawn := w > 0]).size == 2
    ]
    return Score(float(roc_auc_score(label, probability)), *percentile_interval(np.array(resampled), confidence))


def secondary_scores(
    label: np.ndarray, prediction: np.ndarray, binary: bool, weights: np.ndarray, confidence: float
) -> dict[str, Score]:
    """What is reported beside the loss: AUC, Brier and accuracy, or MAE and directional accuracy."""
    if binary:
        return {
            "auc": auc_score(label, prediction, weights, confidence),
            "brier": mean_score((prediction - label) ** 2, weights, confidence),
            "accuracy": mean_score(((prediction > 0.5) == (label > 0.5)).astype(float), weights, confidence),
        }
    return {
        "mae": mean_score(np.abs(label - prediction), weights, confidence),
        "accuracy": mean_score((np.sign(prediction) == np.sign(label)).astype(float), weights, confidence),
    }


def reliability(label: np.ndarray, probability: np.ndarray, bins: int = 10) -> dict[str, list[float]]:
    """Mean prediction, observed rate and count in bins of equal size (quantiles)."""
    groups = [part for part in np.array_split(np.argsort(probability, kind="stable"), bins) if len(part)]
    return {
        "predicted": [float(probability[part].mean()) for part in groups],
        "observed": [float(label[part].mean()) for part in groups],
        "rows": [len(part) for part in groups],
    }


def _means(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights @ rows / weights.sum(axis=1))
