"""The best parameters of an earlier search, for training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finscale.config import Task, format_budget
from finscale.errors import InputError
from finscale.model.shape import Shape
from finscale.search.candidate import apply_settings
from finscale.storage import read_json
from finscale.training.config import TrainConfig


@dataclass(frozen=True)
class Tuned:
    """Training settings and a shape that a search found."""

    config: TrainConfig
    shape: Shape
    source: dict[str, Any]  # study, trial and value


def load_tuned(folder: Path, config: TrainConfig, task: Task, budget: int, data: str) -> Tuned:
    """The best trial of the search for this task, budget and data (the MD5 of the development rows).

    Raises InputError where there is none: parameters of another experiment are never borrowed.
    """
    path = folder / f"{format_budget(budget)}_best.json"
    if not path.is_file():
        raise InputError(
            f"train.from_tune = true, but there is no {path}; search with `dvc exp run -S tune.trials=20`, "
            "or set train.from_tune: false"
        )
    found = read_json(path)
    for name, wanted in (("task", task), ("budget", budget), ("data", data)):
        if found[name] != wanted:
            raise InputError(
                f"{path}: {name} = {found[name]}, while this experiment has {wanted}; `dvc repro tune` searches for it"
            )
    source = {"study": found["study_name"], "trial": found["best_trial"]["number"], "value": found["best_value"]}
    return Tuned(apply_settings(config, found["train_settings"]), Shape(**found["shape"]), source)
