"""The pure power law, error = a size^-alpha: a straight line in log-log, its slope's interval over seeds alone.

exponent.py has the interval that a verdict stands on, over seeds and test days. Laws with an irreducible part stand in
surface.py, the choice between laws in choice.py, words in verdict.py.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from finscale.errors import InputError
from finscale.scaling.laws.checks import check_confidence, count_sizes, positive, size_labels

MIN_SIZES = 3  # a line through two points always fits
_EQUAL = 1e-12  # log errors within this of each other are equal


@dataclass(frozen=True)
class PowerLaw:
    """error = coefficient * params ** -alpha, with the interval of alpha and the p-value of alpha = 0.

    covers: what the interval is over; seeds alone, unless the losses per day were at hand (scaling/fits.py).
    """

    alpha: float
    alpha_low: float
    alpha_high: float
    coefficient: float
    r_squared: float
    p_value: float
    points: int
    covers: str = "seeds"

    def __call__(self, params: np.ndarray) -> np.ndarray:
        return np.asarray(self.coefficient * params**-self.alpha)


def fit_power_law(params: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """Least squares of log error on log params.

    params, errors: positive, one entry per run. Returns (alpha, a, r_squared) of
    error = a * params ** -alpha.
    """
    law = fit_with_interval(params, errors)
    return law.alpha, law.coefficient, law.r_squared


def fit_with_interval(params: np.ndarray, errors: np.ndarray, confidence: float = 0.95) -> PowerLaw:
    """fit_power_law with Student's t interval of alpha over seeds alone.

    The interval treats runs as independent given their size and all sizes as equally noisy: it covers the scatter of
    seeds and lack of fit, not the choice of the test period, which all runs share. Raises InputError for fewer than
    three different sizes, an error that is not positive and finite, or a confidence that is no share.
    """
    check_confidence(confidence)
    params, errors = positive(params, "sizes"), positive(errors, "errors")
    if (found := count_sizes(params)) < MIN_SIZES:
        raise InputError(f"a power law needs at least {MIN_SIZES} sizes, found {found}")
    if np.ptp(np.log(errors)) < _EQUAL:  # a level line, exactly; what is left is rounding
        return PowerLaw(0.0, 0.0, 0.0, float(errors[0]), 0.0, 1.0, len(params))
    line = stats.linregress(np.log(params), np.log(errors))
    half_width = stats.t.ppf((1 + confidence) / 2, len(params) - 2) * line.stderr
    return PowerLaw(
        alpha=float(-line.slope),
        alpha_low=float(-line.slope - half_width),
        alpha_high=float(-line.slope + half_width),
        coefficient=float(np.exp(line.intercept)),
        r_squared=float(line.rvalue**2),
        p_value=float(line.pvalue),
        points=len(params),
    )


def bootstrap_exponents(params: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """alpha of each resample, (R,): weighted least squares, all resamples at once.

    params: (n,). errors: (n,), or (R, n) where each resample has its own test days. weights: (R, n), from
    finscale.scaling.laws.resampling.
    """
    shares = weights / weights.sum(axis=1, keepdims=True)
    x, y = np.log(np.asarray(params, float)), np.broadcast_to(np.log(np.asarray(errors, float)), weights.shape)
    x_centred = x - (shares @ x)[:, None]
    return np.asarray(-(shares * x_centred * y).sum(axis=1) / (shares * x_centred**2).sum(axis=1))


def lack_of_fit(params: np.ndarray, errors: np.ndarray) -> float | None:
    """p-value of the F test that the means per size lie on the line (Draper and Smith 1998, section 2.1).

    Small: sizes differ by more than their seeds explain, so the runs of a size are not independent, and the interval
    of alpha is too narrow. None where no size was repeated or two sizes leave nothing to test.
    """
    params, errors = np.asarray(params, float), np.asarray(errors, float)
    x, y = np.log(params), np.log(errors)
    group = size_labels(params)
    sizes = int(group.max()) + 1
    free, spare = sizes - 2, len(y) - sizes
    if free < 1 or spare < 1:
        return None
    means = np.bincount(group, y) / np.bincount(group)
    within = float(((y - means[group]) ** 2).sum())
    line = stats.linregress(x, y)
    off_line = float(((means[group] - line.intercept - line.slope * x) ** 2).sum())
    if within == 0:
        return None
    return float(stats.f.sf(off_line / free / (within / spare), free, spare))
