"""Where more features stop helping: log L falls with log F up to a point, and is level beyond it."""

from dataclasses import dataclass

import numpy as np

from finscale.errors import InputError
from finscale.evaluation.bootstrap import percentile_interval
from finscale.scaling.laws.resampling import seed_weights

_PLACES = 80


@dataclass(frozen=True)
class Saturation:
    """log loss = level - slope * min(log F, log point), with intervals over seeds.

    point is the largest F that was run where nothing saturates. verdict: one sentence.
    """

    point: float
    point_low: float
    point_high: float
    slope: float
    slope_low: float
    slope_high: float
    level: float
    verdict: str

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(self.level * np.minimum(features, self.point) ** -self.slope)


def fit_saturation(
    features: np.ndarray, losses: np.ndarray, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Saturation:
    """Least squares over the place of the bend, the interval from redrawn seeds.

    features, losses: (n,), positive, one entry per run. Raises InputError for fewer than 3 numbers of features, or
    for no repeated one: without seeds there is no interval.
    """
    features, losses = np.asarray(features, float), np.asarray(losses, float)
    counts = np.unique(features)
    if len(counts) < 3 or len(features) == len(counts):
        raise InputError(
            f"saturation needs at least 3 numbers of features with repeated seeds, found {len(counts)} in "
            f"{len(features)} runs"
        )
    places = np.linspace(np.log(counts[1]), np.log(counts[-1]), _PLACES)
    weights = np.vstack([np.ones(len(features)), seed_weights(features, resamples, seed)])
    place, slope, level = _fit(np.log(features), np.log(losses), weights, places)
    point_low, point_high = percentile_interval(np.exp(place[1:]), confidence)
    slope_low, slope_high = percentile_interval(slope[1:], confidence)
    return Saturation(
        point=float(np.exp(place[0])),
        point_low=point_low,
        point_high=point_high,
        slope=float(slope[0]),
        slope_low=slope_low,
        slope_high=slope_high,
        level=float(np.exp(level[0])),
        verdict=_words(float(np.exp(place[0])), point_low, point_high, slope_low, slope_high, counts[-1]),
    )


def _fit(
    x: np.ndarray, y: np.ndarray, weights_Rn: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best place of the bend, slope and level of each resample, (R,) each."""
    shares = weights_Rn / weights_Rn.sum(axis=1, keepdims=True)
    mean_y = shares @ y
    squares, slopes, levels = [], [], []
    for place in places:
        bent = np.minimum(x, place)
        mean_x = shares @ bent
        covariance = shares @ (bent * y) - mean_x * mean_y
        variance = shares @ bent**2 - mean_x**2
        slope = -covariance / variance
        squares.append(shares @ y**2 - mean_y**2 - covariance**2 / variance)
        slopes.append(slope)
        levels.append(mean_y + slope * mean_x)
    best, every = np.argmin(squares, axis=0), np.arange(len(weights_Rn))
    return places[best], np.array(slopes)[best, every], np.array(levels)[best, every]


def _words(point: float, low: float, high: float, slope_low: float, slope_high: float, most: float) -> str:
    if slope_high < 0:
        return "more features raise the error"
    if slope_low <= 0:
        return "no effect of features established: the interval of the slope contains zero"
    if high < most * (1 - 1e-9):
        return f"saturates at about {point:.0f} features ({low:.0f} to {high:.0f})"
    return f"error falls with features; whether it levels off before {most:.0f} is not established"
