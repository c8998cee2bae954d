"""What a run was made on: the source, its dates and the meaning of a label, which all runs of a meta-model share."""

from collections.abc import Mapping
from typing import Any

from finscale.errors import InputError
from finscale.scaling.settings import Settings, settings_of

_BLOCKS = ("data.", "label.")


def made_on(params: Mapping[str, Any]) -> Settings:
    """From a params.yaml: source, data.* as far as that source reads it, and label.price where the task has a choice.

    Without data.directory, a place. A price of another kind is no choice but for thresholds: a direction and a
    threshold on highs can be inputs of one meta-model.
    """
    told = {key: value for key, value in settings_of(params).items() if key.startswith(_BLOCKS)}
    if not params["task"].startswith("threshold"):
        del told["label.price"]
    return {"source": params["source"]} | told


def check_made_on(name: str, run: Settings, other_name: str, other: Settings, remedy: str) -> None:
    """Raise InputError for the first key in which a run differs from another one, or from params.yaml.

    run, other: from made_on. A key that only one of them has parts none: it came later, or says nothing there.
    """
    for key, value in other.items():
        if key in run and run[key] != value:
            raise InputError(
                f"run {name} was made on {key} = {run[key]}, but {other_name} is on {key} = {value}; {remedy}"
            )
