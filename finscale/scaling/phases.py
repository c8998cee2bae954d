"""phases.yaml as rows of axes: the experiments that the study consists of, and what was expected of them (SPEC 11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.config import read_yaml
from finscale.errors import InputError
from finscale.identity import SHARES, axis_word
from finscale.scaling.ledger import AXES

_PARTS = {"expects", "recipe", "fixed", "settings", "seeds", "rows", "grid"}
_VARIED = ("source", "budget", "seed")  # by one who runs a phase on files of his own, or at sizes that he can afford


@dataclass(frozen=True)
class Row:
    """One experiment: its name in the study, its axes (seed included) and nothing else."""

    name: str
    axes: Mapping[str, Any]

    @property
    def run_name(self) -> str:
        return f"{self.name}-s{self.axes['seed']}"


@dataclass(frozen=True)
class Hypothesis:
    """What was expected of a phase: one sentence, written before its runs. rows: the phase's."""

    phase: str
    expects: str
    rows: Sequence[Row]

    def experiments(self, runs: pd.DataFrame) -> list[str]:
        """The curves among these runs that have the axes of a row, whatever the source, but for simulated markets.

        runs: of curves.name_runs.
        """
        fixed = [axis for axis in AXES if axis not in _VARIED]
        own = {tuple(axis_word(row.axes[axis]) for axis in fixed) for row in self.rows}
        real = runs[runs["source"] != "simulated"].drop_duplicates("experiment")
        return [row["experiment"] for row in real.to_dict("records") if tuple(str(row[one]) for one in fixed) in own]

    def not_run(self, runs: pd.DataFrame) -> list[str]:
        """The names of the rows that no run has the axes of, whatever the source and seed; runs: as above."""
        fixed = [axis for axis in AXES if axis not in ("source", "seed")]
        real = runs[runs["source"] != "simulated"] if len(runs) else runs
        done = {tuple(str(row[one]) for one in fixed) for row in real.to_dict("records")}
        names = dict.fromkeys(
            row.name for row in self.rows if tuple(axis_word(row.axes[axis]) for axis in fixed) not in done
        )
        return list(names)


def load_hypotheses(path: Path) -> list[Hypothesis]:
    """Those of all phases that have one, in the order of the file. Raises InputError as load_phase does."""
    told = read_yaml(path)
    words = {phase: _expects(path, told, phase) for phase in told.get("phases", {})}
    return [Hypothesis(phase, said, _rows(path, told, phase)) for phase, said in words.items() if said]


def hypothesis(path: Path, phase: str) -> str:
    """What is expected of one phase, '' where nothing is. Raises InputError where that is no sentence."""
    return _expects(path, read_yaml(path), phase)


def recipe_of(path: Path, phase: str) -> str | None:
    """The recipe that a phase runs with (finscale/recipes.py), None for params.yaml as it stands."""
    name = _phase(path, read_yaml(path), phase).get("recipe")
    return None if name is None else str(name)


def load_phase(
    path: Path, phase: str, budgets: Sequence[str] | None = None, seeds: Sequence[int] | None = None
) -> list[Row]:
    """The rows of one phase, every seed one row, small budgets first.

    budgets, seeds: in place of those in the file, for machines that cannot afford them. Raises InputError for a phase
    that does not exist or a key that is no axis.
    """
    return _rows(path, read_yaml(path), phase, budgets, seeds)


def phase_settings(path: Path, phase: str) -> dict[str, Any]:
    """What all runs of a phase set beside their axes, by dotted keys; nothing where it says nothing."""
    return dict(_phase(path, read_yaml(path), phase).get("settings", {}))


def _expects(path: Path, told: Mapping[str, Any], phase: str) -> str:
    words = _phase(path, told, phase).get("expects", "")
    if not isinstance(words, str):
        raise InputError(f"{path}: phase {phase}: expects is one sentence, not {words!r}")
    return words.strip()


def _rows(
    path: Path, told: Mapping[str, Any], phase: str,
    budgets: Sequence[str] | None = None, seeds: Sequence[int] | None = None,
) -> list[Row]:  # fmt: skip
    common = dict(told.get("all", {}))
    of_phase = _phase(path, told, phase)
    own_seeds = of_phase.get("seeds", common.pop("seeds", [0]))
    named = _with_budgets(_experiments(phase, of_phase), budgets)
    rows = []
    for (name, axes), seed in product(named, seeds if seeds is not None else own_seeds):
        whole = dict.fromkeys(SHARES) | common | axes | {"seed": seed}
        if wrong := set(whole) ^ set(AXES):
            raise InputError(f"{path}: phase {phase}, {name}: {', '.join(sorted(wrong))} missing or no axis ({AXES})")
        rows.append(Row(name, whole))
    return rows


def _phase(path: Path, told: Mapping[str, Any], phase: str) -> Mapping[str, Any]:
    """One phase as the file has it."""
    phases = told.get("phases", {})
    if phase not in phases:
        raise InputError(f"{path}: no phase {phase!r}; there are {', '.join(phases)}")
    if unknown := set(phases[phase]) - _PARTS:
        raise InputError(
            f"{path}: phase {phase}: {', '.join(unknown)} is not known; allowed: {', '.join(sorted(_PARTS))}"
        )
    found: Mapping[str, Any] = phases[phase]
    return found


def _experiments(phase: str, told: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    fixed = told.get("fixed", {})
    rows = [(name, fixed | axes) for name, axes in told.get("rows", {}).items()]
    grid = told.get("grid", {})
    if grid:
        for values in product(*grid.values()):
            name = "-".join([f"P{phase}", *map(str, values)])
            rows.append((name, fixed | dict(zip(grid, values, strict=True))))
    return rows


def _with_budgets(
    named: list[tuple[str, dict[str, Any]]], budgets: Sequence[str] | None
) -> list[tuple[str, dict[str, Any]]]:
    if budgets is None:
        return named
    replaced: dict[str, dict[str, Any]] = {}
    for budget in budgets:
        for name, axes in named:
            label = name.replace(f"-{axes['budget']}", "")
            replaced[f"{label}-{budget}"] = axes | {"budget": budget}
    return list(replaced.items())
