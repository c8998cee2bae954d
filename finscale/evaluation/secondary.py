"""What is reported beside the loss and its skill: ranking, rates of right and wrong, errors (SPEC 10).

Point values are scikit-learn's where it has the metric. Every metric but AUC is a function of a few weighted sums over
rows, so that all resamples of all of them are one product of matrices: R resamples, n rows, k sums.
"""

from collections.abc import Callable

import numpy as np
from sklearn import metrics as sklearn_metrics

from finscale.config import Task, is_binary
from finscale.evaluation.bootstrap import Draws, percentile_interval
from finscale.evaluation.metrics import Score, Sums, resampled_means
from finscale.evaluation.qlike import qlike_rows
from finscale.evaluation.ranking import weighted_auc

DECISION = 0.5  # the probability from which on a row is predicted to be positive
_SMALLEST_RETURN = np.finfo(float).eps  # scikit-learn's floor of |label| in MAPE


def auc_score(label: np.ndarray, probability: np.ndarray, draws: Draws, enclosed: float) -> Score:
    """Area under the ROC curve; resamples that hold one class only have none and are left out."""
    resampled = weighted_auc(label, probability, draws)
    value = float(sklearn_metrics.roc_auc_score(label, probability))
    return Score(value, *percentile_interval(resampled, enclosed))


def secondary_scores(
    label: np.ndarray, prediction: np.ndarray, task: Task, draws: Draws, enclosed: float
) -> dict[str, Score]:
    """What is reported beside the loss and its skill (SPEC 10).

    Binary tasks: auc, brier, accuracy, precision, recall, f1 (positive from DECISION on; 0 where nothing is
    predicted positive). Returns: mae, mape, r2, and accuracy, that of the direction. MAPE divides by returns that
    may be all but 0: it is reported because it is asked for, not because it means much. Volatility: mae, r2, qlike.
    """
    if is_binary(task):
        table, sums = _CLASSIFICATION, _classification_rows(label, prediction)
        scores = {"auc": auc_score(label, prediction, draws, enclosed)}
    else:
        table = _VOLATILITY if task == "volatility" else _REGRESSION
        sums, scores = _regression_rows(label, prediction), {}
        if task == "volatility":
            sums["qlike"] = qlike_rows(label, prediction)
    resampled = resampled_means(sums, draws)
    for name, (point, formula) in table.items():
        scores[name] = Score(float(point(label, prediction)), *percentile_interval(formula(resampled), enclosed))
    return scores


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

_VOLATILITY: dict[str, Metric] = {
    "mae": _REGRESSION["mae"],
    "r2": _REGRESSION["r2"],
    "qlike": (lambda y, p: float(qlike_rows(y, p).mean()), lambda s: s["qlike"]),
}
