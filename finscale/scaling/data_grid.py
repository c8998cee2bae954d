"""Size by data: the losses of runs that differ in parameters and in what they trained on, judged on one test.

Symbols that train are tested on their own later days, so that curves over symbols share no test but the second one, on
symbols that never train (universe.unseen). Years of history leave the first test as it is. Along both axes there are
exponents, and changes from one cell to another that assume no law; both over seeds and days, each kind with Holm's
p-values of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from finscale.config import ALL, parse_budget
from finscale.errors import InputError
from finscale.scaling.fits import paired_runs
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.contrast import Estimate, Runs, estimate
from finscale.scaling.laws.exponent import exponent
from finscale.scaling.laws.multiple import holm
from finscale.scaling.laws.power_law import MIN_SIZES

Test = Literal["test", "unseen"]
Along = Literal["parameters", "training windows"]
ESTABLISHED = 0.05
MODEL = "model"
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
class Change:
    """From one cell to another of a row or column: log of the last loss over the first, with its interval.

    seeds: of the cell that has fewer. One seed shows nothing of how seeds scatter there: nothing is judged by it,
    unless the model has no seed (CatBoost's is fixed).
    """

    along: Along
    at: str
    model: str
    first: str
    last: str
    seeds: int
    change: float
    low: float
    high: float
    p_value: float
    adjusted_p: float | None


@dataclass(frozen=True)
class Grid:
    """cells: data, windows, budget, params, seeds, loss (mean over seeds), and the loss of each baseline."""

    test: Test
    cells: pd.DataFrame
    lines: list[Line]
    changes: list[Change]
    refused: str = ""

    def told(self) -> dict[str, Any]:
        return {
            "test": self.test,
            "cells": self.cells.to_dict("records"),
            "lines": [asdict(one) | {"words": line_words(one)} for one in self.lines],
            "changes": [asdict(one) | {"words": change_words(one)} for one in self.changes],
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
        return Grid(test, cells, [], [], "not all runs have losses per day")
    lines = [*_lines(rows, of_model, "parameters"), *_lines(rows, of_model, "training windows")]
    changes = [*_changes(rows, of_model, "parameters"), *_changes(rows, of_model, "training windows")]
    if (of_trees := runs["catboost"]) is not None:  # it knows no size and no seed: one run of each kind of data
        once = (~rows["data"].duplicated()).to_numpy()
        trees = rows[once].assign(budget="", params_total=1.0, model="catboost")
        lines += _lines(trees, of_trees.only(once), "training windows")
        changes += _changes(trees, of_trees.only(once), "training windows")
    return Grid(test, cells, [Line(**one) for one in _adjusted(lines)], [Change(**one) for one in _adjusted(changes)])


def _adjusted(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With Holm's p-values over all that can be judged."""
    judged = {str(i): one["p_value"] for i, one in enumerate(found) if one.get("seeds", 2) > 1 or one["model"] != MODEL}
    adjusted = holm(judged)
    return [one | {"adjusted_p": adjusted.get(str(i))} for i, one in enumerate(found)]


def line_words(line: Line) -> str:
    """'PatchTST, 100K: -1.20 % (-1.60 to -0.80) of loss per tenfold of training windows, established'."""
    value, low, high = (100 * (10**-one - 1) for one in (line.exponent, line.high, line.low))
    by = f"per tenfold of {line.along}"
    return f"{_who(line)}: {value:+.2f} % ({low:+.2f} to {high:+.2f}) of loss {by}, {_sure(line)}"


def change_words(one: Change) -> str:
    """'PatchTST, 100K: from 64 to 256 symbols the loss changes by -1.20 % (-1.60 to -0.80), established'."""
    value, low, high = (100 * (np.exp(log) - 1) for log in (one.change, one.low, one.high))
    by = f"{value:+.2f} % ({low:+.2f} to {high:+.2f})"
    return f"{_who(one)}: from {one.first} to {one.last} the loss changes by {by}, {_sure(one)}"


def _who(one: Line | Change) -> str:
    return f"PatchTST, {one.at}" if one.model == MODEL else "CatBoost"


def _sure(one: Line | Change) -> str:
    if one.adjusted_p is None:
        return "a cell has one seed: not judged"
    return "established" if one.adjusted_p < ESTABLISHED else "not established"


def _data_words(row: Mapping[str, Any]) -> str:
    """'64 symbols', '64 symbols, 3 years', 'all symbols'."""
    parts = [(str(row["symbols"]), "symbol"), (str(row["history"]), "year")]
    told = [f"{value} {unit}{'' if value == '1' else 's'}" for value, unit in parts if value]
    return told[0] if parts[1][0] in (ALL, "") else ", ".join(told)


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


def _split(rows: pd.DataFrame, along: Along) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Rows or columns of the grid, in order: what they share, which runs they hold, and their sizes."""
    fixed, varied = ("data", "params_total") if along == "parameters" else ("budget", "unique")
    order = (
        rows.groupby(fixed)["unique" if along == "parameters" else "params_total"]
        .max()
        .sort_values(kind="stable")
        .index
    )
    for at in order:
        own = (rows[fixed] == at).to_numpy()
        yield str(at), own, rows.loc[own, varied].to_numpy(float)


def _lines(rows: pd.DataFrame, runs: Runs, along: Along) -> list[dict[str, Any]]:
    """The exponents along one axis, one for each value of the other that has enough points."""
    return [
        _told(rows, along, at) | _numbers("exponent", exponent(sizes, runs.only(own)).alpha)
        for at, own, sizes in _split(rows, along)
        if count_sizes(sizes) >= MIN_SIZES
    ]


def _changes(rows: pd.DataFrame, runs: Runs, along: Along) -> list[dict[str, Any]]:
    """From the smallest to the largest along one axis; of data also the last step: would more help?"""
    found, name = [], "budget" if along == "parameters" else "data"
    for at, own, sizes in _split(rows, along):
        steps = list(rows.loc[own, name].groupby(sizes).first())
        pairs = [(steps[0], steps[-1])] if len(steps) > 1 else []
        pairs += [(steps[-2], steps[-1])] if along == "training windows" and len(steps) > 2 else []
        for first, last in pairs:
            ends = [(rows[name] == end).to_numpy() & own for end in (first, last)]
            both = (
                ends[0] | ends[1]
            )  # seeds scatter far more on one symbol than on 256: no other cell lends its scatter
            mine = replace(runs.only(both), cells=rows.loc[both, name].to_numpy())
            contrast = (ends[1] / ends[1].sum() - ends[0] / ends[0].sum())[both]
            seeds = min(int(rows.loc[end, "seed"].nunique()) for end in ends)
            told = _told(rows, along, at) | {"first": str(first), "last": str(last), "seeds": seeds}
            found.append(told | _numbers("change", estimate(mine, contrast)))
    return found


def _told(rows: pd.DataFrame, along: Along, at: str) -> dict[str, Any]:
    return {"along": along, "at": at, "model": rows["model"].iloc[0] if "model" in rows else MODEL}


def _numbers(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, "low": found.low, "high": found.high, "p_value": found.p_value}
