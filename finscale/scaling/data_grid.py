"""Size by data: the losses of runs that differ in parameters and in what they trained on, judged on one test.

Symbols that train are tested on their own later days, so that curves over symbols share no test but the second one, on
symbols that never train (universe.unseen). Years of history leave the first test as it is. Along both axes exponents
have intervals over seeds and days, and Holm's p-values over all lines of a grid.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from finscale.config import ALL, parse_budget
from finscale.errors import InputError
from finscale.scaling.fits import paired_runs
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.contrast import Runs
from finscale.scaling.laws.exponent import exponent
from finscale.scaling.laws.multiple import holm
from finscale.scaling.laws.power_law import MIN_SIZES

Test = Literal["test", "unseen"]
Along = Literal["parameters", "training windows"]
ESTABLISHED = 0.05
BASELINES = ("har", "garch", "volatility", "catboost")  # columns of the losses per day


@dataclass(frozen=True)
class Line:
    """One row or column of a grid. along: what changes, parameters or training windows; at: what does not, '100K'.

    exponent: of loss ~ x^-exponent with its interval over seeds and days; adjusted_p: Holm's. model: whose losses.
    """

    along: Along
    at: str
    model: str
    exponent: float
    low: float
    high: float
    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class Grid:
    """cells: data, windows, budget, params, seeds, loss (mean over seeds), and the loss of each baseline."""

    test: Test
    cells: pd.DataFrame
    lines: list[Line]
    refused: str = ""

    def told(self) -> dict[str, Any]:
        return {
            "test": self.test,
            "cells": self.cells.to_dict("records"),
            "lines": [asdict(one) | {"words": line_words(one)} for one in self.lines],
            "refused": self.refused,
        }


def common_test(rows: pd.DataFrame) -> Test:
    """The test that all of these ledger rows share. Raises InputError where there is none."""
    if rows["symbols"].nunique() < 2:
        return "test"
    if "unseen_loss" not in rows or rows["unseen_loss"].isna().any() or rows["unseen_rows"].nunique() > 1:
        raise InputError(
            "runs on different symbols are tested on different symbols; universe.unseen = 0.2 keeps a test that is the "
            "same for all"
        )
    return "unseen"


def data_grid(rows: pd.DataFrame, folder: Path) -> Grid:
    """The grid of ledger rows that differ in size, seed, symbols and history alone; folder: of the losses per day."""
    test = common_test(rows)
    rows = rows.assign(data=[_data_words(row) for row in rows.to_dict("records")], params=rows["params_total"])
    runs = {name: paired_runs(rows, folder, rows["params"], name, False, test) for name in ("model", *BASELINES)}
    cells = _cells(rows, test, {name: one for name, one in runs.items() if one is not None})
    if (of_model := runs["model"]) is None:
        return Grid(test, cells, [], "not all runs have losses per day")
    found = [*_lines(rows, of_model, "parameters"), *_lines(rows, of_model, "training windows")]
    if (of_trees := runs["catboost"]) is not None:
        found += _baseline_line(rows, of_trees)
    adjusted = holm({str(i): one["p_value"] for i, one in enumerate(found)})
    return Grid(test, cells, [Line(**one, adjusted_p=adjusted[str(i)]) for i, one in enumerate(found)])


def line_words(line: Line) -> str:
    """'PatchTST, 100K: -1.20 % (-1.60 to -0.80) of loss per tenfold of training windows, established'."""
    value, low, high = (100 * (10**-one - 1) for one in (line.exponent, line.high, line.low))
    who = {"model": f"PatchTST, {line.at}", "catboost": "CatBoost"}[line.model]
    sure = "established" if line.adjusted_p < ESTABLISHED else "not established"
    return f"{who}: {value:+.2f} % ({low:+.2f} to {high:+.2f}) of loss per tenfold of {line.along}, {sure}"


def _data_words(row: Mapping[str, Any]) -> str:
    """'64 symbols', '64 symbols, 3 years', 'all symbols'."""
    words = f"{row['symbols']} symbol{'' if str(row['symbols']) == '1' else 's'}"
    return words if str(row["history"]) in (ALL, "") else f"{words}, {row['history']} years"


def _cells(rows: pd.DataFrame, test: Test, runs: Mapping[str, Runs]) -> pd.DataFrame:
    """A row per cell, those with most windows last, small budgets first."""
    losses = {name: one.losses() for name, one in runs.items()}
    whole = rows.assign(loss=rows[f"{test}_loss"], **{name: losses[name] for name in losses if name != "model"})
    means = {name: (name, "mean") for name in ("loss", *(name for name in losses if name != "model"))}
    cells = whole.groupby(["data", "budget"], as_index=False).agg(
        windows=("unique", "max"), params=("params", "max"), seeds=("seed", "nunique"), **means
    )
    order = cells["budget"].map(parse_budget)
    return cells.assign(order=order).sort_values(["windows", "order"]).drop(columns="order").reset_index(drop=True)


def _lines(rows: pd.DataFrame, runs: Runs, along: Along) -> Iterator[dict[str, Any]]:
    """The exponents of the model along one axis, one for each value of the other that has enough points."""
    fixed, varied = ("data", "params") if along == "parameters" else ("budget", "unique")
    for at in sorted(set(rows[fixed]), key=lambda value: rows.loc[rows[fixed] == value, "params_total"].min()):
        own = (rows[fixed] == at).to_numpy()
        sizes = rows.loc[own, varied].to_numpy(float)
        if count_sizes(sizes) >= MIN_SIZES:
            yield _told(along, str(at), "model", sizes, runs.only(own))


def _baseline_line(rows: pd.DataFrame, runs: Runs) -> Iterator[dict[str, Any]]:
    """CatBoost's own exponent of windows: it knows no budget and no seed, so one run of each kind of data is enough."""
    first = (~rows["data"].duplicated()).to_numpy()
    sizes = rows.loc[first, "unique"].to_numpy(float)
    if count_sizes(sizes) >= MIN_SIZES:
        yield _told("training windows", "", "catboost", sizes, runs.only(first))


def _told(along: Along, at: str, model: str, sizes: np.ndarray, runs: Runs) -> dict[str, Any]:
    alpha = exponent(sizes, runs).alpha
    own = {"exponent": alpha.value, "low": alpha.low, "high": alpha.high, "p_value": alpha.p_value}
    return {"along": along, "at": at, "model": model, **own}
