"""Bounds of a fitted curve along its sizes, for figures."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Band:
    """x, low, high: (n,) each."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def times(self, factor: float) -> "Band":
        """The same in another unit."""
        return Band(self.x, factor * self.low, factor * self.high)


def confidence_band(
    coefficient: float, alpha: float, alpha_low: float, alpha_high: float, sizes: np.ndarray, x: np.ndarray
) -> Band:
    """Pointwise bounds at x of coefficient * x ** -alpha, from the interval of the exponent. sizes: of the runs, (n,).

    Least squares: log loss is a - alpha (log x - mean), with a and alpha uncorrelated and Var a = Var alpha times the
    variance of the log sizes. The half-width at x is therefore that of alpha times sqrt(variance + (log x - mean)^2).
    """
    logs = np.log(np.asarray(sizes, float))
    half = (alpha_high - alpha_low) / 2 * np.sqrt(logs.var() + (np.log(x) - logs.mean()) ** 2)
    curve = coefficient * x**-alpha
    return Band(x, curve * np.exp(-half), curve * np.exp(half))
