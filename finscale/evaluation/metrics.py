"""Metrics of predictions (SPEC 10), point value and block-bootstrap interval together.

Rows are (asset, day); days are resampled in blocks because labels of overlapping horizons, and
assets on one day, are dependent. R resamples, n rows, k sums. `enclosed`: the share of the resamples
that an interval holds (bootstrap.enclosed_share).

Point values are scikit-learn's where it has the metric. Every metric but AUC is a function of a few
weighted sums over rows, so that all resamples of all of them are one product of matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import metrics as sklearn_metrics

from finscale.evaluation.bootstrap import percentile_interval
from finscale.evaluation.ranking import weighted_auc

COLLAPSED_STD = {True: 1e-3, False: 1e-6}  # of probabilities, of returns
DECISION = 0.5  # the probability from which on a row is predicted to be positive
PROBABILITY_FLOOR = 1e-6  # nothing is scored as surer than this
_SMALLEST_RETURN = np.finfo(float).eps  # scikit-learn's floor of |label| in MAPE

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


def mean_score(rows: np.ndarray, weights: np.ndarray, enclosed: float) -> Score:
    """Mean of a per-row quantity. weights: (R, n) counts of each row in each resample."""
    return Score(float(rows.mean()), *percentile_interval(_means(rows, weights), enclosed))


def skill_score(rows: np.ndarray, reference: np.ndarray, weights: np.ndarray, enclosed: float) -> Score:
    """1 - loss / reference loss, both on the same rows of each resample."""
    resampled = 1 - _means(rows, weights) / _means(reference, weights)
    return Score(float(1 - rows.mean() / reference.mean()), *percentile_interval(resampled, enclosed))


def information_rows(label: np.ndarray, prediction: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Clark and West's (2007) adjusted difference of squared errors, halved: (y - b)(p - b).

    A model that has learnt noise loses to the base rate b even where there is nothing to know, by the noise that
    it adds; the adjustment takes that out. The mean is 0 where p knows nothing of y, and above 0 where it does.
    """
    return (label - base) * (prediction - base)


def auc_score(label: np.ndarray, probability: np.ndarray, weights: np.ndarray, enclosed: float) -> Score:
    """Area under the ROC curve; resamples that hold one class only have none and are left out."""
    resampled = weighted_auc(label, probability, weights)
    value = float(sklearn_metrics.roc_auc_score(label, probability))
    return Score(value, *percentile_interval(resampled, enclosed))


def secondary_scores(
    label: np.ndarray, prediction: np.ndarray, binary: bool, weights: np.ndarray, enclosed: float
) -> dict[str, Score]:
    """What is reported beside the loss and its skill (SPEC 10).

    binary: auc, brier, accuracy, precision, recall, f1 (positive from DECISION on; 0 where nothing is
    predicted positive). Else: mae, mape, r2, and accuracy, that of the direction. MAPE divides by returns that
    may be all but 0: it is reported because it is asked for, not because it means much.
    """
    if binary:
        table, sums = _CLASSIFICATION, _classification_rows(label, prediction)
        scores = {"auc": auc_score(label, prediction, weights, enclosed)}
    else:
        table, sums, scores = _REGRESSION, _regression_rows(label, prediction), {}
    resampled = resampled_means(sums, weights)
    for name, (point, formula) in table.items():
        scores[name] = Score(float(point(label, prediction)), *percentile_interval(formula(resampled), enclosed))
    return scores


def resampled_means(rows: Sums, weights: np.ndarray) -> Sums:
    """Weighted mean of each per-row quantity in each resample: {name: (n,)} -> {name: (R,)}."""
    means_Rk = weights @ np.column_stack(list(rows.values())) / weights.sum(axis=1, keepdims=True)
    return dict(zip(rows, means_Rk.T, strict=True))


def _means(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights @ rows / weights.sum(axis=1))


def _positive(probability: np.ndarray) -> np.ndarray:
    return np.asarray(probability > DECISION, dtype=float)


def _classification_rows(label: np.ndarray, probability: np.ndarray) -> Sums:
    positive = _positive(probability)
    return {
        "squared": (probability - label) ** 2,
        "right": (positive == label).astype(float),
        "true_positive": positive * label,
        "predicted_positive": positive,
        "positive": label,
    }


def _regression_rows(label: np.ndarray, prediction: np.ndarray) -> Sums:
    error = np.abs(label - prediction)
    return {
        "error": error,
        "relative": error / np.maximum(np.abs(label), _SMALLEST_RETURN),
        "squared": error**2,
        "right": _same_direction(label, prediction),
        "label": label,
        "label_squared": label**2,
    }


def _same_direction(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (np.sign(prediction) == np.sign(label)).astype(float)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """0 where there is nothing to divide by, as scikit-learn's zero_division=0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


# name: (point value, the same from weighted means). The two are held equal by a test.
Metric = tuple[Callable[[np.ndarray, np.ndarray], float], Callable[[Sums], np.ndarray]]

_CLASSIFICATION: dict[str, Metric] = {
    "brier": (sklearn_metrics.brier_score_loss, lambda s: s["squared"]),
    "accuracy": (lambda y, p: sklearn_metrics.accuracy_score(y, _positive(p)), lambda s: s["right"]),
    "precision": (
        lambda y, p: sklearn_metrics.precision_score(y, _positive(p), zero_division=0),
        lambda s: _ratio(s["true_positive"], s["predicted_positive"]),
    ),
    "recall": (
        lambda y, p: sklearn_metrics.recall_score(y, _positive(p), zero_division=0),
        lambda s: _ratio(s["true_positive"], s["positive"]),
    ),
    "f1": (
        lambda y, p: sklearn_metrics.f1_score(y, _positive(p), zero_division=0),
        lambda s: _ratio(2 * s["true_positive"], s["predicted_positive"] + s["positive"]),
    ),
}

_REGRESSION: dict[str, Metric] = {
    "mae": (sklearn_metrics.mean_absolute_error, lambda s: s["error"]),
    "mape": (sklearn_metrics.mean_absolute_percentage_error, lambda s: s["relative"]),
    "r2": (sklearn_metrics.r2_score, lambda s: 1 - _ratio(s["squared"], s["label_squared"] - s["label"] ** 2)),
    "accuracy": (lambda y, p: float(_same_direction(y, p).mean()), lambda s: s["right"]),
}
