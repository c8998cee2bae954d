"""The names of the baselines, for whoever reads their predictions. finscale/evaluation/baselines.py makes them."""

import pandas as pd

from finscale.config import Task

_COMMON = ("base_rate", "persistence", "logistic", "catboost")
_OWN: dict[Task, tuple[str, ...]] = {
    "regression": ("zero", "last_return"), "volatility": ("har", "garch"), "surprise": ("volatility", "har"),
}  # fmt: skip
_THRESHOLD = ("volatility",)
_ALL = tuple(dict.fromkeys((*_COMMON, *_THRESHOLD, *(name for names in _OWN.values() for name in names))))


def names_of(task: Task) -> tuple[str, ...]:
    """The baselines of a task."""
    return (*_COMMON, *_OWN.get(task, _THRESHOLD))


def names_in(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The baselines that a table of predictions has columns of."""
    return tuple(name for name in _ALL if name in predictions)
