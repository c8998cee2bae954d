"""L(C): the lowest loss that compute can buy, from the epochs that runs have logged (Hoffmann et al. 2022, approach 1).

Every epoch of every run is a point: FLOPs spent so far and validation loss then. The lower envelope over all sizes is
the frontier. Seeds of a size are averaged first, epoch by epoch: the lowest of many noisy curves is low by luck. Losses
are of validation, which early stopping has looked at already; no test row is read here.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.laws.checks import check_confidence, positive, size_labels
from finscale.scaling.laws.resampling import expanded_interval, seed_weights
from finscale.scaling.laws.unknowns import Status

MIN_POINTS = 4
_LEVELS = 40  # budgets at which the envelope is read, evenly in log FLOPs


@dataclass(frozen=True)
class Frontier:
    """loss = coefficient * FLOPs ** -exponent along the envelope.

    points: flops, loss, params of the size that attains it. low, high: of the exponent, over redrawn seeds; None where
    no size was repeated. status: unidentified where one size is best at all budgets, which is a training curve and no
    frontier.
    """

    points: pd.DataFrame
    exponent: float
    low: float | None
    high: float | None
    coefficient: float
    status: Status


def compute_frontier(epochs: pd.DataFrame, resamples: int = 400, confidence: float = 0.95, seed: int = 0) -> Frontier:
    """epochs: params, seed, epoch, flops (spent by the end of this epoch), loss: one row per logged epoch.

    Raises InputError for losses or FLOPs that are not positive, and where fewer than MIN_POINTS budgets differ in loss.
    """
    check_confidence(confidence)
    epochs = epochs.assign(size=size_labels(epochs["params"].to_numpy()))
    for name in ("flops", "loss"):
        positive(epochs[name].to_numpy(), name)
    runs = epochs[["size", "seed"]].drop_duplicates(ignore_index=True)
    run_of = epochs.merge(runs.assign(run=runs.index), on=["size", "seed"], how="left")["run"].to_numpy()
    points = _envelope(epochs, np.ones(len(runs))[run_of])
    if len(points) < MIN_POINTS:
        raise InputError(f"a compute frontier needs {MIN_POINTS} budgets with ever lower losses, found {len(points)}")
    exponent, coefficient = _line(points)
    low = high = None
    if (repeated := runs.duplicated("size", keep=False)).any():
        weights = seed_weights(runs["size"].to_numpy(), resamples, seed)
        redrawn = [_line(_envelope(epochs, weight[run_of]))[0] for weight in weights]
        count, sizes = int(repeated.sum()), int(runs.loc[repeated, "size"].nunique())
        ends = expanded_interval(np.array(redrawn)[:, None], count, sizes, confidence)
        low, high = (float(end[0]) for end in ends)
    status: Status = "converged" if points["params"].nunique() > 1 else "unidentified"
    return Frontier(points, exponent, low, high, coefficient, status)


def _envelope(epochs: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """The lowest loss at _LEVELS budgets, each new low once. weights: (rows,) how often each run counts."""
    weighted = epochs.assign(w=weights, wl=weights * epochs["loss"], wf=weights * epochs["flops"])
    sums = weighted[weighted["w"] > 0].groupby(["size", "epoch"])[["w", "wl", "wf"]].sum()
    size = sums.index.get_level_values("size").to_numpy()
    flops, loss = (sums[name] / sums["w"] for name in ("wf", "wl"))
    order = np.argsort(flops.to_numpy(), kind="stable")
    flops, loss, size = flops.to_numpy()[order], loss.to_numpy()[order], size[order]
    first_size_only = flops[size != size[0]].min() if (size != size[0]).any() else flops[0]
    budgets = np.geomspace(min(first_size_only, flops[-1]), flops[-1], _LEVELS)
    best = [int(np.argmin(loss[: np.searchsorted(flops, budget * (1 + 1e-9), side="right")])) for budget in budgets]
    params = epochs.groupby("size")["params"].mean()
    points = pd.DataFrame({"flops": flops[best], "loss": loss[best], "params": params.loc[size[best]].to_numpy()})
    return points.drop_duplicates(ignore_index=True)


def _line(points: pd.DataFrame) -> tuple[float, float]:
    slope, level = np.polyfit(np.log(points["flops"]), np.log(points["loss"]), 1) if len(points) > 1 else (0.0, 0.0)
    return float(-slope), float(np.exp(level))
