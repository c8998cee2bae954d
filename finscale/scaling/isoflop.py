"""IsoFLOP profiles from a ledger: which runs were given the same compute, and which runs are missing.

Compute is what a run spent, patience included. Early stopping makes it vary, so levels are found after the fact, as
runs within a tenth of each other; a profile is only as good as a design that sets each size's epochs for a level.
Every pass sees the same windows: a smaller model at equal compute repeats them more often, it does not see more.

Passes and windows are how compute is set here. Profiles are therefore the one place where runs of different
train.epochs, train.max_windows and train.patience stand together; all other settings agree, as on a curve.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from finscale.config import format_budget
from finscale.scaling.curves import VERSION, name_runs, newest_complete
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.optimum import MIN_PROFILE_SIZES, MIN_PROFILES, NEAR, isoflop_profiles
from finscale.scaling.settings import Settings

MIN_LEVELS = MIN_PROFILES
FREE = (
    "train.epochs",
    "train.max_windows",
    "train.patience",
)  # settings that may differ between the runs of one profile
_EPOCHS = (6, 12, 24)  # of the largest size, in the design that is proposed: rounding others moves them by 8 % at most


def runs_by_compute(ledger: pd.DataFrame, alike: str, known: Mapping[str, Settings]) -> pd.DataFrame:
    """The runs that differ in size, seed, passes, windows and patience alone, of one version of the code.

    Of each size, seed and settings the newest run: unlike on the curve, one size may have several, one for each number
    of epochs that was set. What it came to spend tells no design points apart: newer code that stops early at another
    epoch replaces the older run. alike: the name that these runs share, of curves.name_runs with FREE settings.
    """
    named = name_runs(ledger, known, FREE)
    mine = named[named["experiment"] == alike]
    newest = mine.drop_duplicates(["settings", *VERSION, "budget", "seed"], keep="last")
    if len(newest):
        newest = newest_complete(newest, ("budget", "settings"))
    columns = ["budget", "seed", "params_total", "train_flops", "epochs_run", "passes", "test_loss"]
    return newest.reindex(columns=columns)


def compute_levels(params: np.ndarray, flops: np.ndarray) -> list[float]:
    """FLOPs of the levels with runs of at least MIN_PROFILE_SIZES sizes, lowest first.

    Each level is a run's own FLOPs with all runs within a factor NEAR of it; the one with most sizes is taken first,
    and no run belongs to two.
    """
    params, log_flops = np.asarray(params, float), np.log(np.asarray(flops, float))
    free, levels = np.ones(len(params), bool), []
    while free.any():
        near = (np.abs(log_flops[:, None] - log_flops) < np.log(NEAR)) & free & free[:, None]
        sizes = [count_sizes(params[members]) for members in near]
        best = int(np.argmax(sizes))
        if sizes[best] < MIN_PROFILE_SIZES:
            break
        levels.append(float(np.exp(log_flops[best])))
        free &= ~near[best]
    return sorted(levels)


def missing_runs(runs: pd.DataFrame, levels: list[float]) -> str:
    """One sentence: what the ledger has, and the runs that enough profiles would take.

    runs: budget, params_total, train_flops, epochs_run of one study, and passes where they are told: in runs of older
    code each epoch was one.
    """
    needed = f"an isoFLOP profile needs {MIN_PROFILE_SIZES} sizes at each of {MIN_LEVELS} levels of training FLOPs"
    found = f"{needed} (within {NEAR - 1:.0%}); the ledger has {len(levels)} such levels"
    passes = runs["epochs_run"].astype(float)
    if "passes" in runs:
        passes = runs["passes"].astype(float).fillna(passes)
    per_pass = (runs["train_flops"] / passes).groupby(runs["params_total"]).median().sort_index()
    if len(per_pass) < MIN_PROFILE_SIZES:
        return f"{found} and runs of {len(per_pass)} sizes: `make pilot` runs a ladder"
    first = (len(per_pass) - MIN_PROFILE_SIZES) // 2
    chosen = per_pass.iloc[first : first + MIN_PROFILE_SIZES]
    names = runs.groupby("params_total")["budget"].last()
    designs = [
        f"{epochs * chosen.iloc[-1]:.1e} FLOPs: "
        + ", ".join(
            f"budget={names[size]} train.epochs={epochs * chosen.iloc[-1] / cost:.0f}" for size, cost in chosen.items()
        )
        for epochs in _EPOCHS
    ]
    return (
        f"{found}; missing are runs that no early stopping ends (train.patience = train.epochs), such as "
        + "; ".join(designs)
    )


def isoflop_words(runs: pd.DataFrame) -> str:
    """One sentence: what the profiles of one study say, or which runs they lack."""
    sizes, flops, losses = (runs[name].to_numpy(float) for name in ("params_total", "train_flops", "test_loss"))
    levels = compute_levels(sizes, flops)
    if len(levels) < MIN_LEVELS:
        return missing_runs(runs, levels)
    profiles = isoflop_profiles(sizes, flops, losses, levels)
    inside = profiles[profiles["inside"]]
    best = ", ".join(
        f"{format_budget(round(row['params_optimal']))} at {row['flops']:.1e} FLOPs"
        for row in inside.to_dict("records")
    )
    return f"isoFLOP profiles at {len(profiles)} levels; " + (
        f"size that loses least: {best}" if best else "no level has its minimum inside the sizes run"
    )
