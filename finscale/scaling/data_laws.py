"""L(N, D) over the curves of a ledger that differ in how much they trained on, with what repetitions do.

Unique windows, windows seen and parameters are counted columns of the ledger. Runs stand together here that differ in
nothing but size, seed, the windows they had, and how often they saw them, and are judged on one test (data_grid.py).
The intervals of laws are over runs: the days that test them are the same for all, and left out; those along the lines
of the grid are over seeds and days.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.curves import VERSION, name_runs
from finscale.scaling.daily import FOLDER as DAILY
from finscale.scaling.data_grid import common_test, data_grid
from finscale.scaling.isoflop import FREE
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.optimum import compute_optimal, optimum_interval
from finscale.scaling.laws.prediction import corner_forecast, prediction_interval
from finscale.scaling.laws.repetition import fit_data_constrained, fit_with_penalty
from finscale.scaling.laws.resampling import run_weights
from finscale.scaling.laws.surface import LEAST_SQUARES, bootstrap_loss_law, fit_loss_law
from finscale.scaling.settings import Settings

DATA_AXES = ("history", "symbols")  # what sets D, as an axis or a setting
_FREE_HERE = (*FREE, *(f"dataset.{axis}" for axis in DATA_AXES))
_UNIQUE = "unique"
_LEAST = 3  # values of N and of D
_RESAMPLES = 400
_LAWS = ("law", "data_constrained", "penalty", "held_out", "optimum", "grid")


def data_laws(ledger: pd.DataFrame, known: Mapping[str, Settings], folder: Path = DAILY) -> list[dict[str, Any]]:
    """One entry per group of runs with at least three sizes and three numbers of unique windows.

    ledger, known: rows and settings, as of name_experiments. folder: of the losses per day. Keys: runs, sizes, windows,
    task, test, words, and law, data_constrained, penalty, held_out, optimum, grid; each of these with its status, or
    `refused` and why.
    """
    return [_with_words({"experiment": name} | _laws(rows, folder)) for name, rows in _groups(ledger, known)]


def _with_words(told: dict[str, Any]) -> dict[str, Any]:
    """words: one sentence about the law, and one about each line and each change of the grid."""
    of_grid = [one["words"] for kind in ("lines", "changes") for one in told["grid"].get(kind, [])]
    return told | {"words": [law_words(told), *of_grid]}


def law_words(told: Mapping[str, Any]) -> str:
    """One sentence about one entry of data_laws."""
    law = told["law"]
    start = f"{told['experiment']}: L(N, D) over {told['runs']} runs"
    if "refused" in law:
        return f"{start}: {law['refused']}"
    if law["status"] == "unidentified":
        return f"{start} is unidentified: these sizes and windows cannot tell its unknowns, so it is no finding"
    alpha, beta = law["exponents"]
    floor = (
        "no irreducible loss seen" if law["status"] == "at a bound" else f"irreducible loss {law['irreducible']:.4g}"
    )
    return (
        f"{start}: exponents {alpha:.3g} of parameters and {beta:.3g} of windows, {floor}"
        f"{_held_out_words(told['held_out'])} (intervals: over runs only)"
    )


def _groups(ledger: pd.DataFrame, known: Mapping[str, Settings]) -> Iterator[tuple[str, pd.DataFrame]]:
    if ledger.empty:
        return
    level = ledger.assign(**{axis: "" for axis in DATA_AXES if axis in ledger})
    # A run that ended within its first pass has seen no window twice, and not all of those it had.
    level[_UNIQUE] = np.minimum(level["train_windows"], level["windows_seen"])
    named = name_runs(level, known, _FREE_HERE)
    point = ["experiment", *VERSION, "settings", _UNIQUE, "budget", "seed"]
    newest = named.drop_duplicates(point, keep="last")
    for (name, _), rows in newest.groupby(["experiment", "code"], sort=True):
        if min(count_sizes(rows[column].to_numpy(float)) for column in ("params_total", _UNIQUE)) >= _LEAST:
            axes = ledger.set_index("key")[[axis for axis in DATA_AXES if axis in ledger]]
            yield str(name), rows.assign(**{axis: axes.loc[rows["key"], axis].to_numpy() for axis in axes})


def _laws(rows: pd.DataFrame, folder: Path) -> dict[str, Any]:
    params, unique, seen = (rows[name].to_numpy(float) for name in ("params_total", _UNIQUE, "windows_seen"))
    sizes = np.column_stack([params, unique])
    counts = {"runs": len(rows), "sizes": count_sizes(params), "windows": sorted({int(one) for one in unique})}
    counts |= {"task": str(rows["task"].iloc[0])}
    try:
        test = common_test(rows)
    except InputError as error:
        return counts | {"test": None} | {name: {"refused": str(error)} for name in _LAWS}
    losses = rows[f"{test}_loss"].to_numpy(float)
    fits = {
        "law": lambda: asdict(fit_loss_law(sizes, losses, LEAST_SQUARES)),
        "data_constrained": lambda: asdict(fit_data_constrained(params, unique, seen, losses)),
        "penalty": lambda: asdict(fit_with_penalty(params, unique, seen, losses)),
        "held_out": lambda: _held_out(sizes, losses),
        "optimum": lambda: _optimum(sizes, losses, rows),
        "grid": lambda: data_grid(rows, folder).told(),
    }
    return counts | {"test": test} | {name: _or_refused(fit) for name, fit in fits.items()}


def _held_out(sizes: np.ndarray, losses: np.ndarray) -> dict[str, Any]:
    """corner_forecast, what was measured there, and the interval in which one new run was to lie."""
    found = corner_forecast(sizes, losses)
    corner = (sizes == np.array(found.sizes)).all(axis=1)
    told = asdict(found) | {"measured": losses[corner].tolist(), "interval": None}
    if found.law.status == "unidentified":
        return told
    rest, of_rest = sizes[~corner], losses[~corner]
    resampled = bootstrap_loss_law(found.law, rest, of_rest, run_weights(len(rest), _RESAMPLES), LEAST_SQUARES)
    low, high = prediction_interval(found.law, resampled, rest, of_rest, np.array([found.sizes]))
    return told | {"interval": [float(low[0]), float(high[0])]}


def _held_out_words(told: Mapping[str, Any]) -> str:
    """'; its largest corner, held out: 0.5123 foretold for one run (0.51 to 0.514), 0.5131 measured'."""
    if told.get("interval") is None:
        return ""
    (low, high), measured = told["interval"], float(np.exp(np.log(told["measured"]).mean()))
    foretold = measured * np.exp(told["error"])
    interval = f"{low:.4g} to {high:.4g}"
    return f"; the largest corner, held out: {foretold:.4g} foretold for a run ({interval}), {measured:.4g} measured"


def _optimum(sizes: np.ndarray, losses: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """Parameters and windows that lose least for the FLOPs of the dearest run, one pass, with intervals over runs."""
    law = fit_loss_law(sizes, losses, LEAST_SQUARES)
    if law.status == "unidentified":
        raise InputError("the law is unidentified, so it has no optimum")
    per_window = float((rows["train_flops"] / rows["params_total"] / rows["windows_seen"]).median())
    flops = float(rows["train_flops"].max())
    resampled = bootstrap_loss_law(law, sizes, losses, run_weights(len(losses), _RESAMPLES), LEAST_SQUARES)
    found = optimum_interval(resampled, len(losses), flops, per_window)
    return {"flops": flops} | {
        name: asdict(one)
        for name, one in (("best", compute_optimal(law, flops, per_window)), ("low", found.low), ("high", found.high))
    }


def _or_refused(fit: Any) -> dict[str, Any]:
    try:
        told = fit()
    except InputError as error:
        return {"refused": str(error)}
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in told.items()
    }
