"""Compute-optimal sizes: from a fitted surface, with intervals, and from isoFLOP profiles.

Approaches 3 and 2 of Hoffmann et al. 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.laws.checks import check_confidence, count_sizes
from finscale.scaling.laws.resampling import expanded_interval
from finscale.scaling.laws.surface import LossLaw

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0  # forward and backward: Kaplan et al. 2020, section 2.1
NEAR = 1.1  # a run belongs to a compute budget within this factor, and to the nearest one only
MIN_PROFILE_SIZES = 4  # a parabola through three always fits
MIN_PROFILES = 3  # a line through two optima always fits
_LEAST_VALID = 0.9  # share of resamples that must have an optimum


@dataclass(frozen=True)
class ComputeOptimum:
    """N and D that lose least for a number of FLOPs, and the share of growth that goes into N."""

    params: float
    tokens: float
    loss: float
    params_exponent: float  # N_opt grows as FLOPs ** this; D_opt as FLOPs ** (1 - this)


def compute_optimal(
    law: LossLaw, flops: float, flops_per_token: float = FLOPS_PER_PARAMETER_AND_TOKEN
) -> ComputeOptimum:
    """The minimum of L(N, D) along flops = flops_per_token N D (Hoffmann et al. 2022, eq. 4).

    Raises InputError for a law without two sizes, or whose exponents are not both positive: it has no optimum.
    """
    if len(law.exponents) != 2 or min(law.exponents) <= 0:
        raise InputError(f"a compute optimum needs a law in N and D with positive exponents, found {law.exponents}")
    (alpha, beta), (a, b) = law.exponents, law.coefficients
    balance = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    share = beta / (alpha + beta)
    params = balance * (flops / flops_per_token) ** share
    tokens = flops / flops_per_token / params
    return ComputeOptimum(params, tokens, float(law(np.array(params), np.array(tokens))), share)


@dataclass(frozen=True)
class OptimumInterval:
    """Ends of the interval of each part of a ComputeOptimum."""

    low: ComputeOptimum
    high: ComputeOptimum


def optimum_interval(
    resampled: np.ndarray,
    runs: int,
    flops: float,
    flops_per_token: float = FLOPS_PER_PARAMETER_AND_TOKEN,
    confidence: float = 0.95,
) -> OptimumInterval:
    """The interval of compute_optimal, from the law's resamples.

    resampled: (R, 5) from surface.bootstrap_loss_law. runs: that the law was fitted to. Raises InputError where too
    many resamples have no optimum: the runs do not establish that both terms fall.
    """
    valid = resampled[(resampled[:, 2] > 0) & (resampled[:, 4] > 0)]
    if len(valid) < _LEAST_VALID * len(resampled):
        raise InputError(
            f"no interval of the compute optimum: in {1 - len(valid) / len(resampled):.0%} of the resamples the loss "
            "does not fall with both N and D"
        )
    found = [
        compute_optimal(LossLaw(e, (a, b), (alpha, beta), 0.0, runs), flops, flops_per_token)
        for e, a, alpha, b, beta in valid
    ]
    values = np.array([(one.params, one.tokens, one.loss, one.params_exponent) for one in found])
    low, high = expanded_interval(values, runs, resampled.shape[1], check_confidence(confidence))
    return OptimumInterval(ComputeOptimum(*map(float, low)), ComputeOptimum(*map(float, high)))


def near_budget(flops: np.ndarray, budgets: Sequence[float]) -> np.ndarray:
    """(n,) the budget that each run belongs to, as its place in `budgets`, or -1."""
    away = np.abs(np.log(np.asarray(flops, float)[:, None] / np.asarray(budgets, float)))
    nearest = away.argmin(axis=1)
    return np.where(away[np.arange(len(away)), nearest] < np.log(NEAR), nearest, -1)


def isoflop_profiles(
    params: np.ndarray, flops: np.ndarray, losses: np.ndarray, budgets: Sequence[float]
) -> pd.DataFrame:
    """One row per compute budget: a parabola of loss in log N through the runs that belong to it.

    A picture: its minimum is off by up to a third where the true profile is not a parabola. The surface
    (compute_optimal) gives the figure.

    budgets: FLOPs, as the design set them. Columns: flops, runs, sizes, params_optimal, loss_optimal, inside (is the
    minimum within the sizes that were run?), and the parabola's coefficients c2, c1, c0 in log10 N. Budgets with fewer
    than MIN_PROFILE_SIZES sizes, or whose parabola opens downwards, have no optimum: NaN there. Raises InputError where
    no budget has so many.
    """
    params, flops, losses = (np.asarray(values, float) for values in (params, flops, losses))
    of_run = near_budget(flops, budgets)
    rows = [_profile(budget, params[of_run == at], losses[of_run == at]) for at, budget in enumerate(budgets)]
    if max((row["sizes"] for row in rows), default=0) < MIN_PROFILE_SIZES:
        raise InputError(
            f"isoFLOP profiles need runs of {MIN_PROFILE_SIZES} sizes at the same FLOPs, found at most "
            f"{max((row['sizes'] for row in rows), default=0)}: vary budget at fixed compute"
        )
    return pd.DataFrame(rows)


def params_exponent(profiles: pd.DataFrame) -> tuple[float, float]:
    """a and its standard error in N_opt ~ FLOPs^a, over the profiles whose minimum lies inside the sizes run."""
    usable = profiles[profiles["inside"]]
    if len(usable) < MIN_PROFILES:
        raise InputError(
            f"an exponent of N_opt needs {MIN_PROFILES} profiles with a minimum inside, found {len(usable)}"
        )
    x, y = np.log(usable["flops"].to_numpy()), np.log(usable["params_optimal"].to_numpy())
    (slope, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    return float(slope), float(np.sqrt(covariance[0, 0] * (residual @ residual) / (len(x) - 2)))


def _profile(budget: float, params: np.ndarray, losses: np.ndarray) -> dict[str, float]:
    sizes = count_sizes(params)
    told = {"flops": float(budget), "runs": len(params), "sizes": sizes}
    nothing = dict.fromkeys(("params_optimal", "loss_optimal", "c2", "c1", "c0"), float("nan"))
    if sizes < MIN_PROFILE_SIZES:
        return told | nothing | {"inside": False}
    x = np.log10(params)
    c2, c1, c0 = (float(c) for c in np.polyfit(x, losses, 2))
    curve = {"c2": c2, "c1": c1, "c0": c0}
    if c2 <= 0:
        return told | nothing | curve | {"inside": False}
    best = -c1 / (2 * c2)
    optimum = {"params_optimal": 10**best, "loss_optimal": c0 + c1 * best + c2 * best**2}
    return told | optimum | curve | {"inside": bool(x.min() < best < x.max())}
