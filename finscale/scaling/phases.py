"""phases.yaml as rows of axes: the experiments that the study consists of (SPEC 11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from finscale.config import read_yaml
from finscale.errors import InputError
from finscale.scaling.ledger import AXES

_PARTS = {"fixed", "rows", "grid"}


@dataclass(frozen=True)
class Row:
    """One experiment: its name in the study, its axes (seed included) and nothing else."""

    name: str
    axes: Mapping[str, Any]

    @property
    def run_name(self) -> str:
        return f"{self.name}-s{self.axes['seed']}"


def load_phase(
    path: Path, phase: str, budgets: Sequence[str] | None = None, seeds: Sequence[int] | None = None
) -> list[Row]:
    """The rows of one phase, every seed one row, small budgets first.

    budgets, seeds: in place of those in the file, for machines that cannot afford them. Raises InputError for a phase
    that does not exist or a key that is no axis.
    """
    told = read_yaml(path)
    phases = told.get("phases", {})
    if phase not in phases:
        raise InputError(f"{path}: no phase {phase!r}; there are {', '.join(phases)}")
    common = dict(told.get("all", {}))
    own_seeds = common.pop("seeds", [0])
    named = _with_budgets(_experiments(path, phase, phases[phase]), budgets)
    rows = []
    for (name, axes), seed in product(named, seeds if seeds is not None else own_seeds):
        whole = common | axes | {"seed": seed}
        if wrong := set(whole) ^ set(AXES):
            raise InputError(f"{path}: phase {phase}, {name}: {', '.join(sorted(wrong))} missing or no axis ({AXES})")
        rows.append(Row(name, whole))
    return rows


def _experiments(path: Path, phase: str, told: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    if unknown := set(told) - _PARTS:
        raise InputError(
            f"{path}: phase {phase}: {', '.join(unknown)} is not known; allowed: {', '.join(sorted(_PARTS))}"
        )
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
