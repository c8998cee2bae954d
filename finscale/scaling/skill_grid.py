"""Skill over thresholds and horizons at a fixed size (SPEC 11, phase 6A): one grid per budget.

Losses of different labels cannot be compared, their skills can: 1 - loss / loss of the base rate on the same days.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import pandas as pd

from finscale.config import Horizon, parse_budget
from finscale.data.labels import THRESHOLDS
from finscale.scaling.curves import groups_varying
from finscale.scaling.ledger import AXES
from finscale.scaling.refused import in_short
from finscale.scaling.rivals import RIVALS, Difference, keys_of

_RIVALS = ("volatility", "catboost")  # baselines of the ledger that know volatility
_Paired = Mapping[tuple[tuple[str, ...], str], Difference]  # by keys of the runs and rival
_HORIZONS = [str(horizon) for horizon in get_args(Horizon)]


@dataclass(frozen=True)
class SkillGrid:
    """Runs that differ in task, horizon and seed alone.

    cells: one row per threshold and one column per horizon, of the values that were run at any size, or refused; each
    cell is a SkillCell, the words of a refusal ('refused: 11 positives'), or None where nothing was run.
    """

    name: str
    budget: str
    cells: pd.DataFrame


@dataclass(frozen=True)
class SkillCell:
    """Test skill over seeds, with its interval over seeds and test days, of one seed over days.

    Without losses per day: mean bounds of the runs' own intervals, which are over the test days alone. rivals: the
    skill of baselines on the same days, by name. against: the paired difference from each, and from the base rate, with
    its adjusted p-value; empty without losses per day.
    """

    skill: float
    low: float
    high: float
    seeds: int
    rivals: dict[str, float]
    against: dict[str, Difference] = field(default_factory=dict)

    @property
    def covers(self) -> str:
        return self.against["base_rate"].covers if self.against else "days"

    @property
    def positive(self) -> bool:
        """Better than the base rate: by the adjusted p-value where there is one, else by the cell's own interval."""
        return self.against["base_rate"].established == "better" if self.against else self.low > 0

    @property
    def seeds_words(self) -> str:
        return "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"


def skill_grids(
    results: pd.DataFrame, refused: pd.DataFrame | None = None, differences: Sequence[Difference] = ()
) -> Iterator[SkillGrid]:
    """Every size with at least two thresholds and two horizons, small ones first.

    results: of name_experiments. refused: of read_refused; the data refuse a run at any size and seed.
    differences: of differences_from_rivals.
    """
    paired = {(one.keys, one.rival): one for one in differences if not one.refused}
    if results.empty:
        return
    known = results[results["task"].isin(list(THRESHOLDS))].assign(horizon=results["horizon"].astype(str))
    for name, runs in groups_varying(known, ("task", "horizon", "budget")):
        wide = runs.groupby("budget").filter(lambda cells: min(cells["task"].nunique(), cells["horizon"].nunique()) > 1)
        if wide.empty:
            continue
        reasons = _refusals(wide, refused)
        tasks = [str(task) for task in THRESHOLDS if task in {*wide["task"], *(task for task, _ in reasons)}]
        horizons = [one for one in _HORIZONS if one in {*wide["horizon"], *(horizon for _, horizon in reasons)}]
        for budget in sorted(set(wide["budget"]), key=parse_budget):
            yield SkillGrid(name, budget, _cells(wide[wide["budget"] == budget], tasks, horizons, reasons, paired))


def threshold_words(task: str) -> str:
    """'threshold_1pct' -> '> 1 %', 'direction' -> '> 0 %'."""
    return f"> {next(100 * level for name, level in THRESHOLDS.items() if name == task):.0f} %"


def horizon_words(horizon: str) -> str:
    return {"1": "1 bar", "weekly": "weekly"}.get(horizon, f"{horizon} bars")


def _refusals(runs: pd.DataFrame, refused: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    """(task, horizon) -> words, of those refused runs that differ from these in task, horizon, size and seed alone."""
    if refused is None or refused.empty:
        return {}
    fixed = [axis for axis in (*AXES, "scheme", "settings") if axis not in ("task", "horizon", "budget", "seed")]
    own = refused.merge(runs[fixed].astype(str).drop_duplicates(), on=fixed)
    own = own[own["task"].isin(list(THRESHOLDS))]
    return {(row["task"], row["horizon"]): in_short(row["reason"]) for row in own.to_dict("records")}


def _cells(
    runs: pd.DataFrame, tasks: list[str], horizons: list[str], reasons: dict[tuple[str, str], str], paired: _Paired
) -> pd.DataFrame:
    cells = pd.DataFrame(None, tasks, horizons, dtype=object)
    for (task, horizon), words in reasons.items():
        cells.loc[task, horizon] = words
    for (task, horizon), seeds in runs.groupby(["task", "horizon"]):
        cells.loc[task, horizon] = _cell(seeds, paired)
    return cells.where(cells.notna(), None)


def _cell(seeds: pd.DataFrame, paired: _Paired) -> SkillCell:
    rivals = {name: float((1 - seeds[f"{name}_loss"] / seeds["base_rate_loss"]).mean()) for name in _RIVALS}
    known = {name: value for name, value in rivals.items() if not math.isnan(value)}
    count, keys = int(seeds["seed"].nunique()), keys_of(seeds)
    against = {name: paired[keys, words] for name, words in RIVALS.items() if (keys, words) in paired}
    if (base := against.get("base_rate")) is None:
        skill, low, high = (float(seeds[f"test_skill{part}"].mean()) for part in ("", "_low", "_high"))
        return SkillCell(skill, low, high, count, known)
    skill, low, high = (-math.expm1(log_ratio) for log_ratio in (base.difference, base.high, base.low))
    return SkillCell(skill, low, high, count, known, against)
