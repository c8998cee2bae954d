"""Skill over thresholds and horizons at a fixed size (SPEC 11, phase 6A): one grid per budget.

Losses of different labels cannot be compared, their skills can: 1 - loss / loss of the base rate on the same days.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from finscale.config import Horizon, parse_budget
from finscale.data.labels import THRESHOLDS
from finscale.scaling.curves import groups_varying

_RIVALS = {"volatility": "GARCH", "catboost": "CatBoost"}  # baselines of the ledger that know volatility
_HORIZONS = [str(horizon) for horizon in get_args(Horizon)]


@dataclass(frozen=True)
class SkillGrid:
    """Runs that differ in task, horizon and seed alone.

    cells: one row per threshold and one column per horizon, of the values that were run at any size; each cell is a
    SkillCell, None where nothing was run or a run was refused for too few positives.
    """

    name: str
    budget: str
    cells: pd.DataFrame


@dataclass(frozen=True)
class SkillCell:
    """Mean test skill over seeds; low, high: mean bounds of the runs' own intervals.

    Those are of the test days, which all seeds share: more seeds do not make them narrower. rivals: the skill of
    baselines on the same days, by name.
    """

    skill: float
    low: float
    high: float
    seeds: int
    rivals: dict[str, float]

    @property
    def rivals_words(self) -> str:
        return ", ".join(f"{name} {skill:+.1%}" for name, skill in self.rivals.items())

    @property
    def seeds_words(self) -> str:
        return "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"


def skill_grids(results: pd.DataFrame) -> Iterator[SkillGrid]:
    """Every size with at least two thresholds and two horizons, small ones first. results: of name_experiments."""
    if results.empty:
        return
    known = results[results["task"].isin(list(THRESHOLDS))].assign(horizon=results["horizon"].astype(str))
    for name, runs in groups_varying(known, ("task", "horizon", "budget")):
        wide = runs.groupby("budget").filter(lambda cells: min(cells["task"].nunique(), cells["horizon"].nunique()) > 1)
        tasks = [str(task) for task in THRESHOLDS if task in set(wide["task"])]
        horizons = [horizon for horizon in _HORIZONS if horizon in set(wide["horizon"])]
        for budget in sorted(set(wide["budget"]), key=parse_budget):
            yield SkillGrid(name, budget, _cells(wide[wide["budget"] == budget], tasks, horizons))


def threshold_words(task: str) -> str:
    """'threshold_1pct' -> '> 1 %', 'direction' -> '> 0 %'."""
    return f"> {next(100 * level for name, level in THRESHOLDS.items() if name == task):.0f} %"


def horizon_words(horizon: str) -> str:
    return {"1": "1 bar", "weekly": "weekly"}.get(horizon, f"{horizon} bars")


def _cells(runs: pd.DataFrame, tasks: list[str], horizons: list[str]) -> pd.DataFrame:
    cells = pd.DataFrame(None, tasks, horizons, dtype=object)
    for (task, horizon), seeds in runs.groupby(["task", "horizon"]):
        skill, low, high = (float(seeds[f"test_skill{part}"].mean()) for part in ("", "_low", "_high"))
        rivals = {
            name: float((1 - seeds[f"{rival}_loss"] / seeds["base_rate_loss"]).mean())
            for rival, name in _RIVALS.items()
        }
        known = {name: value for name, value in rivals.items() if not math.isnan(value)}
        cells.loc[task, horizon] = SkillCell(skill, low, high, int(seeds["seed"].nunique()), known)
    return cells.where(cells.notna(), None)
