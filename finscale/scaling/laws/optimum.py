"""Compute-optimal sizes: from a fitted surface and from isoFLOP profiles (Hoffmann et al. 2022, approaches 3 and 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.laws.surface import LossLaw

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0  # forward and backward: Kaplan et al. 2020, section 2.1
NEAR = 1.25  # a run belongs to a compute budget within this factor
MIN_PROFILE_SIZES = 3
_PARABOLA_SIZES = 4  # a parabola through three always fits


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


def isoflop_profiles(
    params: np.ndarray, flops: np.ndarray, losses: np.ndarray, budgets: Sequence[float]
) -> pd.DataFrame:
    """One row per compute budget: a parabola of loss in log N through the runs within a quarter of it.

    budgets: FLOPs, as the design set them. Columns: flops, runs, sizes, params_optimal, loss_optimal, inside (is the
    minimum within the sizes that were run?), and the parabola's coefficients c2, c1, c0 in log10 N. Budgets with fewer
    than 4 sizes, or whose parabola opens downwards, have no optimum: NaN there. Raises InputError where no budget has
    MIN_PROFILE_SIZES sizes.
    """
    params, flops, losses = (np.asarray(values, float) for values in (params, flops, losses))
    near = [np.abs(np.log(flops / budget)) < np.log(NEAR) for budget in budgets]
    rows = [_profile(budget, params[at], losses[at]) for budget, at in zip(budgets, near, strict=True)]
    if max((row["sizes"] for row in rows), default=0) < MIN_PROFILE_SIZES:
        raise InputError(
            f"isoFLOP profiles need runs of {MIN_PROFILE_SIZES} sizes at the same FLOPs, found at most "
            f"{max((row['sizes'] for row in rows), default=0)}: vary budget at fixed compute"
        )
    return pd.DataFrame(rows)


def params_exponent(profiles: pd.DataFrame) -> tuple[float, float]:
    """a and its standard error in N_opt ~ FLOPs^a, over the profiles whose minimum lies inside the sizes run."""
    usable = profiles[profiles["inside"]]
    if len(usable) < 3:
        raise InputError(f"an exponent of N_opt needs 3 profiles with a minimum inside, found {len(usable)}")
    x, y = np.log(usable["flops"].to_numpy()), np.log(usable["params_optimal"].to_numpy())
    (slope, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    return float(slope), float(np.sqrt(covariance[0, 0] * (residual @ residual) / (len(x) - 2)))


def _profile(budget: float, params: np.ndarray, losses: np.ndarray) -> dict[str, float]:
    sizes = len(np.unique(params))
    told = {"flops": float(budget), "runs": len(params), "sizes": sizes}
    nothing = dict.fromkeys(("params_optimal", "loss_optimal", "c2", "c1", "c0"), float("nan"))
    if sizes < _PARABOLA_SIZES:
        return told | nothing | {"inside": False}
    x = np.log10(params)
    c2, c1, c0 = (float(c) for c in np.polyfit(x, losses, 2))
    curve = {"c2": c2, "c1": c1, "c0": c0}
    if c2 <= 0:
        return told | nothing | curve | {"inside": False}
    best = -c1 / (2 * c2)
    optimum = {"params_optimal": 10**best, "loss_optimal": c0 + c1 * best + c2 * best**2}
    return told | optimum | curve | {"inside": bool(x.min() < best < x.max())}
