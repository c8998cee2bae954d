"""Every number of docs/article.md by its name: results of the ledger and of tracked files, as they are printed.

A name is dotted (pilot.alpha, panel.volatility.loss); its value is text. What the ledger does not hold yet says so.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import parse_budget
from finscale.scaling.daily import FOLDER, read_daily
from finscale.scaling.laws.multiple import holm
from finscale.scaling.results import load_experiment_results
from finscale.scaling.rivals import differences_from_rivals
from study.article_panel import exponent, ladder_values, spread, tenfold
from study.noiseless import noiseless
from study.recipe.choice import loss_against, student
from study.recipe.page import GOALS, RELATIVE, VOLATILITY, final_rows
from study.recipe.protocol import load_protocol
from study.recipe.table import DAILY, read_rows

LEDGER = Path("results/ledger.csv")
SCALING, DATA_LAWS = Path("reports/scaling.json"), Path("reports/data_laws.json")
Values = dict[str, str]

# The ladders of sizes by the names that their runs begin with, and the recipe where two share them.
_SEEING, _AUTHOR = "less-context", "author"


def all_values() -> Values:
    """Name and printed value of everything that the article may say."""
    runs = load_experiment_results(LEDGER)
    reports = {one["experiment"]: one for one in json.loads(SCALING.read_text(encoding="utf-8"))}
    parts = (
        ladder_of_sizes("pilot", _ladder(runs, "pilot-", reports, old=False), reports),
        ladder_of_sizes("author", _ladder(runs, "pilot-", reports, old=True), reports),
        ladder_of_sizes("teacher", _ladder(runs, "teacher-", reports), reports),
        ladder_of_sizes("walk", _ladder(runs, "walk-", reports), reports),
        controls(_ladder(runs, "teacher-", reports), reports),
        lacking(runs),
        panel(runs),
        spy(runs, reports),
        thresholds(runs),
        recipe(read_rows()),
        ladder_values(json.loads(DATA_LAWS.read_text(encoding="utf-8")), runs, reports),
    )
    return dict(chain.from_iterable(parts))


def _ladder(runs: pd.DataFrame, begins: str, reports: Mapping[str, Any], old: bool = False) -> pd.DataFrame:
    """The shown runs whose names begin so: of the settings that were run last, or (old) of those run before them."""
    own = runs[runs["name"].str.startswith(begins) & runs["experiment"].isin(reports)]
    last = own.groupby("experiment")["timestamp"].max().sort_values(ascending=False).index
    return own[own["experiment"] == last[1 if old else 0]]


def ladder_of_sizes(name: str, runs: pd.DataFrame, reports: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the report says of a curve, and the losses behind it. runs: of one experiment."""
    report = reports[runs["experiment"].iloc[0]]
    fit = report["fit_results"]
    losses = runs.groupby("params")["test_loss"].agg(["mean", "min", "max"])
    yield f"{name}.runs", f"{len(runs)}"
    yield f"{name}.windows", f"{runs['train_windows'].iloc[0]:,}"
    yield f"{name}.rows", f"{runs['test_rows'].iloc[0]:,}"
    yield f"{name}.verdict", report["verdict"]
    yield f"{name}.alpha", exponent(fit)
    yield f"{name}.change", f"{tenfold(fit['alpha_high'])} to {tenfold(fit['alpha_low'])} %"
    yield f"{name}.seeds_alone", f"{fit['alpha_low_seeds']:.4f} to {fit['alpha_high_seeds']:.4f}"
    yield f"{name}.detectable", f"{fit['smallest_detectable_exponent']:.4f}"
    yield f"{name}.detectable_change", f"{tenfold(fit['smallest_detectable_exponent'])[1:]} %"
    yield f"{name}.p", f"{fit['p_value']:.2g}"
    yield f"{name}.p_adjusted", f"{fit['p_value_adjusted']:.2g}"
    yield f"{name}.losses", ", ".join(f"{one:.4f}" for one in losses["mean"])
    yield f"{name}.foretold", _foretold(report["forecast"])
    yield f"{name}.largest", f"{losses['min'].iloc[-1]:.4f} to {losses['max'].iloc[-1]:.4f}"
    yield f"{name}.smaller", f"{losses['min'].iloc[:-1].min():.4f} to {losses['max'].iloc[:-1].max():.4f}"
    yield f"{name}.base", f"{runs['base_rate_loss'].mean():.4f}"
    yield f"{name}.below_base", f"{(runs['test_loss'] < runs['base_rate_loss']).sum()}"
    yield f"{name}.garch", f"{runs['volatility_loss'].mean():.4f}"
    yield f"{name}.garch_skill", f"{100 * (1 - runs['volatility_loss'].mean() / runs['base_rate_loss'].mean()):.1f} %"
    yield f"{name}.above_garch", f"{(runs['test_loss'] > runs['volatility_loss']).sum()}"
    yield f"{name}.collapsed", f"{runs['collapsed'].astype(bool).sum()}"
    for part, error in fit["standard_error_parts"].items():
        yield f"{name}.error_{part}", f"{error:.4f}"


def _foretold(forecast: Mapping[str, Any]) -> str:
    return "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * forecast[one] for one in ("error", "low", "high")))


def controls(teacher: pd.DataFrame, reports: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The positive control in expectation, and its p-value beside that of the whole report."""
    known = noiseless(teacher)
    judged = {
        name: one["fit_results"]["p_value"]
        for name, one in reports.items()
        if one["fit_results"] and one["fit_results"]["p_value_adjusted"] is not None
    }
    simulated = {name: value for name, value in judged.items() if name.startswith("simulated-")}
    own = teacher["experiment"].iloc[0]
    yield "teacher.bound", f"{known['bound'].mean():.4f}"
    yield "teacher.expected", ", ".join(f"{one:.4f}" for one in known.groupby("params")["expected_loss"].mean())
    yield "teacher.p_controls", f"{holm(simulated)[own]:.2g}"
    yield "report.judged", f"{len(judged)}"
    yield "report.curves", f"{len(reports)}"


def lacking(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The ladders of study/controls.yaml that have no run."""
    kinds = {"data-": "fewer years to train on", "dense-": "more sizes"}
    left = [words for begins, words in kinds.items() if not runs["name"].str.startswith(begins).any()]
    yield "controls.lacking", f" Not run yet: the law with {' and with '.join(left)}." if left else ""


def panel(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The smallest model on all symbols of the panel, beside its baselines, on both tests."""
    whole = runs[(runs["source"] == "directory") & (runs["assets"] == "all") & (runs["symbols"].astype(str) == "all")]
    whole = whole[(whole["budget"] == "10K") & (whole["seed"] == 0)]
    for task, same in whole.groupby("task"):
        row, at = same.iloc[-1], f"panel.{task}"
        days = read_daily(FOLDER / f"{row['key']}.parquet")
        never = read_daily(FOLDER / f"{row['key']}-unseen.parquet")
        yield f"{at}.loss", spread(row["test_loss"], row["test_loss_low"], row["test_loss_high"], 4)
        yield f"{at}.unseen", spread(row["unseen_loss"], row["unseen_loss_low"], row["unseen_loss_high"], 4)
        yield f"{at}.skill", spread(row["test_skill"], row["test_skill_low"], row["test_skill_high"], 3)
        yield f"{at}.windows", f"{row['train_windows']:,}"
        yield f"{at}.params", f"{row['params_total']:,}"
        yield f"{at}.symbols", f"{row['train_symbols']:.0f}"
        yield f"{at}.unseen_symbols", f"{row['unseen_symbols']:.0f}"
        yield f"{at}.rows", f"{row['test_rows']:,}"
        yield f"{at}.days", f"{len(days):,}"
        for rival in ("base_rate", "catboost", "har", "garch"):
            if rival in days:
                yield f"{at}.{rival}", f"{np.average(days[rival], weights=days['rows']):.4f}"
                yield f"{at}.unseen.{rival}", f"{np.average(never[rival], weights=never['rows']):.4f}"
        for one in differences_from_rivals(same.iloc[[-1]], FOLDER):
            yield f"{at}.against.{one.rival}", percent(one.difference, one.low, one.high)


def spy(runs: pd.DataFrame, reports: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """SPY's direction: sizes of phase 1 and features of phase 2, as the networks give their probabilities."""
    plain = runs[runs["differs"].fillna("").str.contains("calibrate.method=none", regex=False)]
    sizes = plain[plain["name"].str.startswith("P1-")].sort_values("timestamp")
    sizes = sizes[sizes["experiment"] == sizes["experiment"].iloc[0]]
    fit = reports[sizes["experiment"].iloc[0]]["fit_results"]
    means = sizes.groupby("params")["test_loss"].mean()
    tiers = plain[(plain["task"] == "direction") & (plain["budget"] == "10K")].groupby("tier")["test_loss"].mean()
    yield "spy.alpha", exponent(fit)
    budgets = runs.loc[runs["name"].str.startswith("P1-"), "budget"]
    yield "phase1.budgets", ", ".join(sorted(set(budgets), key=parse_budget))
    yield "ledger.runs", f"{len(runs)}"
    yield "ledger.largest", f"{runs['params_total'].max():,}"
    yield "spy.losses", f"{means.min():.3f} to {means.max():.3f}"
    yield "spy.catboost", f"{sizes['catboost_loss'].mean():.3f}"
    yield "spy.base", f"{sizes['base_rate_loss'].mean():.3f}"
    yield "spy.features", f"{tiers.min():.3f} to {tiers.max():.3f}"


def thresholds(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Phase 6A: moves of more than a threshold within a horizon, means over seeds."""
    cells = runs[runs["name"].str.startswith("P6A-")].groupby(["task", "horizon"])
    skill = cells[["test_skill", "test_skill_low", "test_skill_high"]].mean()
    losses = cells[["test_loss", "volatility_loss", "catboost_loss"]].mean()
    above = skill["test_skill_low"] > 0
    best = skill.loc[skill["test_skill"].idxmax()]
    yield "moves.cells", f"{len(skill)}"
    yield "moves.above", f"{above.sum()}"
    yield "moves.best", "{:.0f} % ({:.0f} to {:.0f})".format(*(100 * best))
    yield "moves.garch", f"{(losses['volatility_loss'] < losses['test_loss']).sum()}"
    yield "moves.catboost", f"{(losses['catboost_loss'] < losses['test_loss']).sum()}"


def recipe(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Shares of the findable skill in planted markets, skill in noise, and losses on development days of the panel."""
    last = final_rows(rows, load_protocol())
    for name in (_SEEING, _AUTHOR):
        for data in GOALS:
            mine = last[(last["candidate"] == name) & (last["data"] == data) & (last["budget"] == "10K")]
            found = student(mine["value"].to_numpy(float))
            yield f"recipe.{name}.{data.split('-')[0]}", spread(found.mean, found.low, found.high, 2)
    noise = rows[(rows["candidate"] == _SEEING) & (rows["measure"] == "noise")]
    yield "recipe.noise", f"{(noise['low'] > 0).sum()} of {len(noise)}"
    seeds = sorted(set(rows.loc[(rows["candidate"] == _SEEING) & (rows["data"] == VOLATILITY), "seed"]))
    for label, rival, data in (
        ("har", "har", VOLATILITY), ("catboost", "catboost", VOLATILITY), ("catboost_same", "catboost", RELATIVE),
        ("author", _AUTHOR, VOLATILITY),
    ):  # fmt: skip
        one = loss_against(DAILY, _SEEING, rival, VOLATILITY, seeds, 5, data)
        yield f"recipe.against.{label}", percent(one.value, one.low, one.high)
    yield "recipe.runs", f"{len(rows)}"


def percent(value: float, low: float, high: float) -> str:
    """'-15.5 % (-17.2 to -13.6)' of a log ratio."""
    return "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * np.expm1([value, low, high])))
