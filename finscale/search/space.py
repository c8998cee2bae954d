"""Search spaces: YAML files, checked when they are read."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import PositiveFloat, PositiveInt, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from finscale.config import read_yaml
from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.training.config import TrainConfig

Value = int | float | str | bool

# The settings that decide what is learned; the others decide how fast, where, or what is written down.
_LEARNING = ("epochs", "max_windows", "patience", "batch_size", "learning_rate", "final_learning_rate", "weight_decay",
             "warmup_fraction", "clip_norm")  # fmt: skip
_OWN: dict[str, Any] = {
    "warmup_steps": Annotated[int, FieldInfo(ge=0)],
    "depth_factor": PositiveFloat,
    "width_to_depth": PositiveFloat,
    "n_heads": PositiveInt,
}


def _type_of(field: FieldInfo) -> Any:
    return Annotated[field.annotation, field]


# Every name that a search may vary, with the values that it may take.
KNOWN: dict[str, Any] = (
    {name: _type_of(TrainConfig.model_fields[name]) for name in _LEARNING}
    | {f"model.{name}": _type_of(field) for name, field in ModelConfig.model_fields.items()}
    | _OWN
)


class Suggests(Protocol):
    """The part of an Optuna trial that draws values."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int = ..., log: bool = ...) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = ..., log: bool = ...
    ) -> float: ...


@dataclass(frozen=True)
class Choice:
    name: str
    values: tuple[Value, ...]

    def sample(self, trial: Suggests) -> Value:
        chosen: Value = trial.suggest_categorical(self.name, self.values)
        return chosen

    @property
    def extremes(self) -> tuple[Value, ...]:
        return self.values


@dataclass(frozen=True)
class Range:
    """Both ends are included. Whole numbers where both ends are, else floats."""

    name: str
    low: int | float
    high: int | float
    step: int | float | None
    log: bool

    def sample(self, trial: Suggests) -> Value:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    @property
    def extremes(self) -> tuple[Value, ...]:
        return self.low, self.high


@dataclass(frozen=True)
class SearchSpace:
    parameters: tuple[Choice | Range, ...]

    def sample(self, trial: Suggests) -> dict[str, Value]:
        return {parameter.name: parameter.sample(trial) for parameter in self.parameters}

    def __getitem__(self, name: str) -> Choice | Range:
        return next(parameter for parameter in self.parameters if parameter.name == name)

    def __contains__(self, name: str) -> bool:
        return any(parameter.name == name for parameter in self.parameters)


def load_search_space(path: Path) -> SearchSpace:
    """Read a search space.

    Raises InputError, naming file, parameter and remedy, for an unknown parameter, one that training does not read, an
    empty or impossible range, and a value that the parameter cannot take.
    """
    entries = read_yaml(path)
    if not entries:
        raise InputError(f"{path} names no parameter; give at least one, such as learning_rate")
    if {"warmup_steps", "warmup_fraction"} <= set(entries):
        raise InputError(f"{path}: warmup_steps and warmup_fraction set the same thing; keep one of them")
    return SearchSpace(tuple(_parameter(path, str(name), entry) for name, entry in entries.items()))


def _parameter(path: Path, name: str, entry: Any) -> Choice | Range:
    _check_name(path, name)
    if not isinstance(entry, dict) or not ({"choices"} == set(entry) or {"low", "high"} <= set(entry)):
        raise InputError(f"{path}: {name} = {entry!r}; give {{low: .., high: ..}} or {{choices: [..]}}")
    parameter = _choice(path, name, entry["choices"]) if "choices" in entry else _range(path, name, entry)
    for value in parameter.extremes:
        try:
            TypeAdapter(KNOWN[name]).validate_python(value)
        except ValidationError as error:
            raise InputError(f"{path}: {name} cannot be {value!r}: {error.errors()[0]['msg']}") from None
    return parameter


def _check_name(path: Path, name: str) -> None:
    if name in KNOWN:
        return
    if name.split(".")[0] in set(TrainConfig.model_fields) - {"model"}:
        raise InputError(
            f"{path}: {name} is a setting that training's result does not read, so there is nothing to search; "
            f"remove it, or vary one of {', '.join(KNOWN)}"
        )
    close = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(KNOWN)}"
    raise InputError(f"{path}: {name} is not a known parameter; {hint}")


def _choice(path: Path, name: str, values: Any) -> Choice:
    if not isinstance(values, list) or len(values) < 2 or len(set(map(repr, values))) < len(values):
        raise InputError(f"{path}: {name}.choices = {values!r}; give a list of at least two different values")
    return Choice(name, tuple(values))


def _range(path: Path, name: str, entry: dict[str, Any]) -> Range:
    if unknown := set(entry) - {"low", "high", "step", "log"}:
        raise InputError(f"{path}: {name} has the unknown key {min(unknown)}; known are low, high, step, log")
    for key in ("low", "high", "step"):
        value = entry.get(key)
        if (value is not None or key != "step") and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"{path}: {name}.{key} = {value!r} is no number; YAML 1.1 reads 1e-5 as text: 0.00001")
    made = Range(name, entry["low"], entry["high"], entry.get("step"), entry.get("log", False))
    if made.low >= made.high:
        raise InputError(f"{path}: {name}.low = {made.low} must be below {name}.high = {made.high}")
    if made.log and (made.low <= 0 or made.step is not None):
        raise InputError(f"{path}: {name}.log needs low above 0 and no step; remove `log: true` or change them")
    if made.step is not None and not 0 < made.step <= made.high - made.low:
        raise InputError(f"{path}: {name}.step = {made.step} does not lead from {made.low} to {made.high}")
    return made
