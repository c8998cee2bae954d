"""Bounds of a fitted power law along its sizes, as figures and the page shade them."""

from dataclasses import dataclass

import numpy as np

from finscale.scaling.laws.contrast import Runs
from finscale.scaling.laws.exponent import forecast
from finscale.scaling.laws.power_law import PowerLaw


@dataclass(frozen=True)
class Band:
    """x, low, high: (n,) each. covers: what the interval is over."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    covers: str = ""

    def times(self, factor: float) -> "Band":
        """The same in another unit."""
        return Band(self.x, factor * self.low, factor * self.high, self.covers)


def seeds_band(law: PowerLaw, sizes: np.ndarray, x: np.ndarray) -> Band:
    """Pointwise bounds of the law at x over seeds alone, from the interval of its exponent. sizes: of the runs, (n,).

    Least squares: log loss is a - alpha (log x - mean), with a and alpha uncorrelated and Var a = Var alpha times the
    variance of the log sizes. The half-width at x is therefore that of alpha times sqrt(variance + (log x - mean)^2).
    Of days none of this is true: they move the level more than the slope. Raises ValueError for a law whose interval is
    over more than seeds.
    """
    if law.covers != "seeds":
        raise ValueError(f"the interval of this law is over {law.covers}: days_band has its bounds")
    logs = np.log(np.asarray(sizes, float))
    half = (law.alpha_high - law.alpha_low) / 2 * np.sqrt(logs.var() + (np.log(x) - logs.mean()) ** 2)
    return Band(x, law(x) * np.exp(-half), law(x) * np.exp(half), law.covers)


def days_band(sizes: np.ndarray, runs: Runs, x: np.ndarray) -> Band:
    """Pointwise bounds at x of the mean loss over seeds, from the runs' losses per day: over seeds, misfit and days."""
    found = [forecast(sizes, runs, float(one)) for one in x]
    low, high = (np.exp([getattr(one, end) for one in found]) for end in ("low", "high"))
    return Band(x, low, high, "seeds and days")
