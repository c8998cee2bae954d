"""Temperature scaling: one number that makes confident models honest (Guo et al. 2017)."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from finscale.evaluation.metrics import log_loss_rows

_LOG_RANGE = (np.log(0.05), np.log(20.0))


def fit_temperature(logits: np.ndarray, label: np.ndarray) -> float:
    """The temperature T that minimises the log-loss of sigmoid(logit / T), between 1/20 and 20."""
    found = minimize_scalar(
        lambda log_t: log_loss_rows(label, probabilities(logits, np.exp(log_t))).mean(),
        bounds=_LOG_RANGE,
        method="bounded",
    )
    return float(np.exp(found.x))


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The one place where logits become probabilities."""
    return np.asarray(expit(logits.astype(float) / temperature))
