"""Calibration: probabilities made honest on rows that neither trained nor chose the model.

temperature  p = sigmoid(logit / T)          one number (Guo et al. 2017); the order of days stays
shrinkage    p = sigmoid(b + (logit - b)/T)  the same number, but b is the logit of the base rate of the training rows
platt        p = sigmoid(a logit + b)        two numbers (Platt 1999); also moves the base rate
isotonic     p = any rising step function    as many numbers as steps (Zadrozny and Elkan 2002)

A large T says that the logits know nothing. Temperature scaling then predicts 1/2, which loses to the base rate that
was known beforehand; shrinkage predicts that base rate. logit - b is the model's log-likelihood ratio, which T tempers.
It has no intercept: where all logits lie to one side of b, T also decides how far to that side predictions go.
The default stays temperature: a change would have to be judged on days that nobody has looked at.
"""

from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from finscale.evaluation.bootstrap import Draws, percentile_interval
from finscale.evaluation.config import Method
from finscale.evaluation.metrics import PROBABILITY_FLOOR, Score, log_loss_rows, resampled_means

METHODS = get_args(Method)
BINS = 10  # of the reliability diagram and of ECE: equal numbers of rows, in order of the prediction

_LOG_RANGE = (np.log(0.05), np.log(20.0))


def fit_temperature(logits: np.ndarray, label: np.ndarray, towards: float = 0.5) -> float:
    """The temperature T that minimises the log-loss, between 1/20 and 20. towards: the probability at T = infinity."""
    found = minimize_scalar(
        lambda log_t: log_loss_rows(label, probabilities(logits, np.exp(log_t), towards)).mean(),
        bounds=_LOG_RANGE,
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_platt(logits: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Slope and intercept of the logistic regression of the label on the logit, without a penalty."""
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(logits.astype(float)[:, None], label)
    return {"slope": float(fitted.coef_[0, 0]), "intercept": float(fitted.intercept_[0])}


def fit_isotonic(logits: np.ndarray, label: np.ndarray) -> dict[str, list[float]]:
    """The rising step function as its corners: logit, probability.

    It is kept 1 / (n + 2) away from 0 and 1 (Laplace's rule): n rows cannot show that something never happens.
    """
    floor = 1 / (len(label) + 2)
    fitted = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip").fit(logits.astype(float), label)
    return {"logit": fitted.X_thresholds_.tolist(), "probability": fitted.y_thresholds_.tolist()}


def fit_shrinkage(logits: np.ndarray, label: np.ndarray, base_rate: float) -> dict[str, float]:
    """The temperature, and the base rate that it shrinks towards."""
    return {"temperature": fit_temperature(logits, label, base_rate), "base_rate": base_rate}


def fit_all(logits: np.ndarray, label: np.ndarray, base_rate: float) -> dict[str, Any]:
    """Every method fitted to the same rows, {method: its numbers}; what `calibrated` takes.

    base_rate: that of the training rows, never of the rows fitted to.
    """
    return {
        "none": {},
        "temperature": {"temperature": fit_temperature(logits, label)},
        "shrinkage": fit_shrinkage(logits, label, base_rate),
        "platt": fit_platt(logits, label),
        "isotonic": fit_isotonic(logits, label),
    }


def calibration_of(logits: np.ndarray, label: np.ndarray, base_rate: float, method: Method) -> dict[str, Any]:
    """models/calibration.json: the chosen method, every method's numbers, and the rows' loss with each."""
    fitted = fit_all(logits, label, base_rate)
    loss = {name: float(log_loss_rows(label, calibrated(logits, fitted, name)).mean()) for name in METHODS}
    return {"method": method, "rows": len(label), "loss": loss, "fitted": fitted}


def calibrated(logits: np.ndarray, fitted: dict[str, Any], method: Method) -> np.ndarray:
    """Probabilities by one method of `fit_all`."""
    numbers = fitted[method]
    if method == "platt":
        return probabilities(numbers["slope"] * logits.astype(float) + numbers["intercept"], 1.0)
    if method == "isotonic":
        return np.interp(logits.astype(float), numbers["logit"], numbers["probability"])
    if method == "shrinkage":
        return probabilities(logits, numbers["temperature"], numbers["base_rate"])
    return probabilities(logits, numbers["temperature"] if method == "temperature" else 1.0)


def probabilities(logits: np.ndarray, temperature: float, towards: float = 0.5) -> np.ndarray:
    """The one place where logits become probabilities; a temperature above 1 moves them towards `towards`.

    towards is kept as far from 0 and 1 as every probability that is scored.
    """
    anchor = logit(np.clip(towards, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR))
    # anchor + (logits - anchor) / T, written so that T = 1 leaves the logits as they are, to the last bit
    return np.asarray(expit(logits.astype(float) / temperature + anchor * (1 - 1 / temperature)))


def reliability(label: np.ndarray, probability: np.ndarray, draws: Draws, enclosed: float) -> pd.DataFrame:
    """Per bin: mean prediction, observed rate with its interval (low, high), rows."""
    groups = _bins(probability)
    intervals = [percentile_interval(_observed(label, part, draws), enclosed) for part in groups]
    return pd.DataFrame(
        {
            "predicted": [float(probability[part].mean()) for part in groups],
            "observed": [float(label[part].mean()) for part in groups],
            "rows": [len(part) for part in groups],
            "low": [low for low, _ in intervals],
            "high": [high for _, high in intervals],
        }
    )


def calibration_error(label: np.ndarray, probability: np.ndarray, draws: Draws, enclosed: float) -> Score:
    """Expected calibration error: mean over rows of |mean prediction - observed rate| of the row's bin.

    An absolute value cannot average out: even a perfectly calibrated model has an ECE above 0 on few rows, and its
    resamples more so. Compare it between models on the same rows, and never with 0.
    """
    gaps = {}
    for number, part in enumerate(_bins(probability)):
        gap = np.zeros(len(label))
        gap[part] = probability[part] - label[part]
        gaps[str(number)] = gap
    resampled = sum(np.abs(gap) for gap in resampled_means(gaps, draws).values())
    value = sum(abs(float(gap.mean())) for gap in gaps.values())
    return Score(value, *percentile_interval(np.asarray(resampled), enclosed))


def _bins(probability: np.ndarray) -> list[np.ndarray]:
    """Rows of each bin; sorting is stable, so that equal predictions fall into bins in order of time."""
    return [part for part in np.array_split(np.argsort(probability, kind="stable"), BINS) if len(part)]


def _observed(label: np.ndarray, part: np.ndarray, draws: Draws) -> np.ndarray:
    """(R,) rate of the rows `part` in each resample; NaN where it drew none of them, which leaves it out."""
    inside = np.zeros(len(label))
    inside[part] = 1.0
    drawn = draws.sums(inside)
    return np.asarray(draws.sums(inside * label) / np.where(drawn > 0, drawn, np.nan))
