"""Where more features stop helping: log L falls with log F up to a point, and is level beyond it.

The bend makes this no contrast of runs, so seeds and blocks of days are redrawn in fact: seeds within each number of
features, and the same days for all runs.
"""

from dataclasses import dataclass

import numpy as np

from finscale.errors import InputError
from finscale.evaluation.bootstrap import choose_block_length, enclosed_share, percentile_interval
from finscale.scaling.laws.checks import check_confidence, positive
from finscale.scaling.laws.contrast import Runs
from finscale.scaling.laws.resampling import block_losses, seed_weights
from finscale.scaling.laws.unknowns import Status

_PLACES = 80


@dataclass(frozen=True)
class Saturation:
    """log loss = level - slope * min(log F, log point), with intervals over seeds, and over test days where `days` says
    so.

    point is the largest F that was run where nothing saturates. status: unidentified where the slope's interval
    contains zero (a bend of nothing), at a bound where the bend lies at the largest F. verdict: one sentence.
    """

    point: float
    point_low: float
    point_high: float
    slope: float
    slope_low: float
    slope_high: float
    level: float
    days: bool
    status: Status
    verdict: str

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(self.level * np.minimum(features, self.point) ** -self.slope)


def fit_saturation(
    features: np.ndarray,
    losses: np.ndarray,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    runs: Runs | None = None,
) -> Saturation:
    """Least squares over the place of the bend, the interval from redrawn seeds and days.

    features, losses: (n,), positive, one entry per run. runs: their daily losses, None where they were not kept: then
    of seeds alone. Raises InputError for fewer than 3 numbers of features, or for no repeated one: without seeds there
    is no interval.
    """
    check_confidence(confidence)
    features, losses = positive(features, "numbers of features"), positive(losses, "losses")
    counts = np.unique(features)
    if len(counts) < 3 or len(features) == len(counts):
        raise InputError(
            f"saturation needs at least 3 numbers of features with repeated seeds, found {len(counts)} in "
            f"{len(features)} runs"
        )
    places = np.linspace(np.log(counts[1]), np.log(counts[-1]), _PLACES)
    weights = np.vstack([np.ones(len(features)), seed_weights(features, resamples, seed)])
    redrawn, enclosed = (
        (np.tile(losses, (resamples, 1)), confidence)
        if runs is None
        else _on_days(features, runs, resamples, confidence, seed + 1)
    )
    place, slope, level = _fit(np.log(features), np.log(np.vstack([losses, redrawn])), weights, places)
    point_low, point_high = percentile_interval(np.exp(place[1:]), enclosed)
    slope_low, slope_high = percentile_interval(slope[1:], enclosed)
    bound: Status = "at a bound" if place[0] >= places[-1] else "converged"
    return Saturation(
        point=float(np.exp(place[0])),
        point_low=point_low,
        point_high=point_high,
        slope=float(slope[0]),
        slope_low=slope_low,
        slope_high=slope_high,
        level=float(np.exp(level[0])),
        days=runs is not None,
        status="unidentified" if slope_low <= 0 <= slope_high else bound,
        verdict=_words(float(np.exp(place[0])), point_low, point_high, slope_low, slope_high, counts[-1]),
    )


def _on_days(
    features: np.ndarray, runs: Runs, resamples: int, confidence: float, seed: int
) -> tuple[np.ndarray, float]:
    """(R, n) losses over redrawn blocks of days, and the share of resamples to enclose.

    Block length: of the influence series of the log-log slope, as for an exponent.
    """
    means, centred = runs.losses(), np.log(features) - np.log(features).mean()
    days = runs.daily.shape[1]
    influence = days * runs.shares() * ((centred / (centred @ centred) / means) @ (runs.daily - means[:, None]))
    length = choose_block_length(influence, runs.horizon_days)
    return block_losses(runs.daily, length, resamples, seed, runs.rows), enclosed_share(confidence, length, days)


def _fit(
    x: np.ndarray, y_Rn: np.ndarray, weights_Rn: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best place of the bend, slope and level of each resample, (R,) each."""
    shares = weights_Rn / weights_Rn.sum(axis=1, keepdims=True)
    weighted_y = shares * y_Rn
    mean_y, mean_square = weighted_y.sum(axis=1), (weighted_y * y_Rn).sum(axis=1)
    squares, slopes, levels = [], [], []
    for place in places:
        bent = np.minimum(x, place)
        mean_x = shares @ bent
        covariance = weighted_y @ bent - mean_x * mean_y
        variance = shares @ bent**2 - mean_x**2
        slope = -covariance / variance
        squares.append(mean_square - mean_y**2 - covariance**2 / variance)
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
