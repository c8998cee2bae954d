"""Fits of error against size."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from finscale.errors import InputError

MIN_SIZES = 3  # a line through two points always fits


@dataclass(frozen=True)
class PowerLaw:
    """error = coefficient * params ** -alpha, with the interval of alpha."""

    alpha: float
    alpha_low: float
    alpha_high: float
    coefficient: float
    r_squared: float
    points: int

    def __call__(self, params: np.ndarray) -> np.ndarray:
        return np.asarray(self.coefficient * params**-self.alpha)

    @property
    def verdict(self) -> str:
        if self.alpha_low > 0:
            return "scaling: error falls with size"
        if self.alpha_high < 0:
            return "inverse: error rises with size"
        return "no scaling found: the interval of alpha contains zero"


def fit_power_law(params: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """Least squares of log error on log params.

    params, errors: positive, one entry per run. Returns (alpha, a, r_squared) of
    error = a * params ** -alpha.
    """
    law = fit_with_interval(params, errors)
    return law.alpha, law.coefficient, law.r_squared


def fit_with_interval(params: np.ndarray, errors: np.ndarray, confidence: float = 0.95) -> PowerLaw:
    """fit_power_law with Student's t interval of alpha.

    The interval treats runs as independent given their size: it covers the scatter of seeds and
    lack of fit, not the choice of the test period, which all runs share. Raises InputError for
    fewer than three different sizes or an error that is not positive.
    """
    params, errors = np.asarray(params, float), np.asarray(errors, float)
    if len(np.unique(params)) < MIN_SIZES:
        raise InputError(f"a power law needs at least {MIN_SIZES} sizes, found {len(np.unique(params))}")
    if not ((params > 0).all() and (errors > 0).all()):
        raise InputError("a power law needs positive sizes and errors")
    line = stats.linregress(np.log(params), np.log(errors))
    half_width = stats.t.ppf((1 + confidence) / 2, len(params) - 2) * line.stderr
    return PowerLaw(
        alpha=float(-line.slope),
        alpha_low=float(-line.slope - half_width),
        alpha_high=float(-line.slope + half_width),
        coefficient=float(np.exp(line.intercept)),
        r_squared=float(line.rvalue**2),
        points=len(params),
    )
