"""Lists of what to run: YAML -> settings and checked parameters of each experiment

    settings: {source: directory, data.end: "2025-12-31"}     # of all
    experiments:
      - {task: direction, budget: [2M, 20M], seed: 0}         # a list is tried value by value, the last one fastest

Keys are those of `dvc exp run -S`: axes, and dotted keys for what lies deeper.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from finscale.config import check_params, read_yaml
from finscale.errors import InputError
from stages.configure import Params
from study.experiments import params_with

Settings = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One experiment: what differs from params.yaml, and all of it."""

    settings: Settings
    params: Params

    def told(self) -> dict[str, Any]:
        """All of its parameters in one form, however params.yaml or a list writes them."""
        return self.params.model_dump(mode="json")


def read_lists(paths: list[Path]) -> list[Asked]:
    """The experiments of the lists in their order, each once. Raises InputError for what cannot be run."""
    asked: list[Asked] = []
    for path in paths:
        for settings in _read(path):
            one = checked(settings, path)
            if all(one.params != other.params for other in asked):
                asked.append(one)
    return asked


def checked(settings: Settings, path: Path) -> Asked:
    """The experiment of these settings. Raises InputError, naming `path`, where they are none of this repository."""
    if odd := [key for key in settings if not isinstance(key, str)]:
        raise InputError(f"{path}: {odd[0]!r} is no key; write an axis, such as budget, or a dotted key: train.epochs")
    if nested := [key for key, value in settings.items() if isinstance(value, dict)]:
        inner = next(iter(settings[nested[0]]), "key")
        raise InputError(f"{path}: {nested[0]} is a block; name each of its keys: `{nested[0]}.{inner}: ...`")
    params = check_params(Params, params_with(settings), path)
    if params.train.from_tune or params.tune.trials:
        raise InputError(
            f"{path}: a search does not travel: set tune.trials: 0 and train.from_tune: false, and write what the "
            "search found into the list"
        )
    return Asked(settings, params)


def _read(path: Path) -> list[Settings]:
    told = read_yaml(path)
    if unknown := set(told) - {"settings", "experiments"}:
        named = ", ".join(sorted(map(str, unknown)))
        raise InputError(f"{path}: {named} is not known; allowed: settings, experiments")
    common, experiments = told.get("settings") or {}, told.get("experiments") or []
    if not isinstance(experiments, list) or not all(isinstance(one, dict) for one in [common, *experiments]):
        raise InputError(f"{path}: `experiments` is a list of `{{axis: value}}` mappings, `settings` one such mapping")
    if not experiments:
        raise InputError(f"{path}: no experiments; write a line `- {{budget: 2M, seed: 0}}` under `experiments:`")
    return [settings for one in experiments for settings in _combinations(common | one, path)]


def _combinations(settings: Settings, path: Path) -> list[Settings]:
    if empty := [key for key, value in settings.items() if value == []]:
        raise InputError(f"{path}: {empty[0]} is an empty list: nothing to run; give values, or leave the key out")
    values = [value if isinstance(value, list) else [value] for value in settings.values()]
    return [dict(zip(settings, chosen, strict=True)) for chosen in product(*values)]
