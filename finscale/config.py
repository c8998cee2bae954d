"""params.yaml as frozen, typed objects.

Every stage declares a `Params` model with exactly the keys that it reads; a test holds them equal to
the stage's `params` in dvc.yaml. Each block's model stands in the module that uses it, and rejects
keys it does not know. `stages/configure.py` checks the whole file, so that a typo at the top
level is caught as well.
"""

import difflib
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PositiveInt, ValidationError

from finscale.assets import Assets
from finscale.errors import InputError

# The axes: what an experiment varies (SPEC 1 and 5). Only what is built today is allowed.
Source = Literal["bundled", "live", "directory", "simulated"]
Quality = Literal["a", "b", "c", "d"]
Timescale = Literal["daily", "2d", "3d", "5d", "weekly", "2week", "monthly", "daily_multi"]
FeatureTier = Literal["a20", "a50", "a100", "a200", "a500", "a1000", "a2000"]
Task = Literal[
    "direction",
    "threshold_1pct",
    "threshold_2pct",
    "threshold_3pct",
    "threshold_5pct",
    "regression",
    "volatility",
    "surprise",
]
Horizon = Literal[1, 2, 3, 5, "weekly"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # PyYAML takes 1e-05, as DVC writes it, for text
_NAME = re.compile(r"\w[\w.-]*")
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9}
_BUDGET_RULE = "a parameter count from 5K to 2B, such as 150K, 20M or 2B"


def parse_budget(value: object) -> int:
    """'150K' -> 150000. Raises ValueError for anything but a count from 5K to 2B."""
    text = str(value).strip().upper()
    unit = _UNITS.get(text[-1:], 1)
    try:
        count = float(text.rstrip("KMB") if unit > 1 else text) * unit
    except ValueError:
        raise ValueError(_BUDGET_RULE) from None
    if not 5e3 <= count <= 2e9:
        raise ValueError(_BUDGET_RULE)
    return round(count)


def format_budget(count: int) -> str:
    """150000 -> '150K'; the inverse of parse_budget for round numbers."""
    for unit, size in reversed(_UNITS.items()):
        if count >= size:
            return f"{count / size:.4g}{unit}"
    return str(count)


class SecretError(ValueError):
    """What is wrong with a value that must not be told."""


def name_only(value: str) -> str:
    """A name that becomes part of a path: letters, digits, _, - and ., which it does not begin with.

    Raises ValueError for anything else, such as a way out of the folder.
    """
    if not _NAME.fullmatch(value):
        raise ValueError("a name of letters, digits, _, - and . that begins with none of the last two; no path")
    return value


Name = Annotated[str, AfterValidator(name_only)]


def without_password(url: str | None) -> str | None:
    """A database's address. One with a password is refused: settings are kept in dvc.lock, in git and in pages."""
    if url is not None and (urlsplit(url).password or "password=" in url.lower()):
        raise SecretError(
            "holds a password, which would end in dvc.lock and in every experiment; put the address into the "
            "environment variable FINSCALE_STUDIES and leave this null",
        )
    return url


ALL = "all"  # of symbols, and of history: null in params.yaml, a word in the ledger


def parse_share(value: object) -> object:
    """'all' -> None, anything else as it is."""
    return None if value == ALL else value


Share = Annotated[PositiveInt | None, BeforeValidator(parse_share)]  # of what there is: a number, or all

Budget = Annotated[int, BeforeValidator(parse_budget)]


class Block(BaseModel):
    """A block of params.yaml: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureAxes(Block):
    """What decides the features of an asset."""

    quality: Quality
    timescale: Timescale
    tier: FeatureTier


class StudyAxes(FeatureAxes):
    """What is fixed along a curve over budgets."""

    source: Source
    assets: Assets
    symbols: Share
    history: Share
    task: Task
    horizon: Horizon


class Axes(StudyAxes):
    """All that experiments vary."""

    budget: Budget
    seed: int


P = TypeVar("P", bound=Block)


def is_binary(task: Task) -> bool:
    """Whether labels are 0 or 1 and predictions probabilities; else numbers, judged by their squared error."""
    return task not in ("regression", "volatility")


_read: dict[Path, dict[str, Any]] = {}  # what this process has read, and from where


def load_params(model: type[P], path: Path = Path("params.yaml")) -> P:
    """Read the keys that `model` declares from a YAML file; other top-level keys are ignored.

    Raises InputError naming the key, the value and what is allowed.
    """
    values = {k: v for k, v in read_yaml(path).items() if k in model.model_fields}
    _read[path] = values
    return check_params(model, values, path)


def check_unchanged() -> None:
    """Raise InputError where a setting that load_params has read stands otherwise in its file now.

    DVC notes settings as they are when a stage ends: it would take what ran for a run of the new ones.
    """
    for path, values in _read.items():
        before, now = flat(values), flat(read_yaml(path))
        if changed := [key for key in before if now.get(key) != before[key]]:
            key = changed[0]
            raise InputError(
                f"{path} was edited while this ran: {key} was {before[key]}, and is {now.get(key)} now. Nothing counts "
                f"as made with the new value: put {before[key]} back and `dvc repro` goes on, or `dvc repro` as it is"
            )


def forget_read() -> None:
    """What load_params has read is looked at no more: for one who runs stages in several workspaces, one by one."""
    _read.clear()


def flat(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{dotted key: value} of nested blocks, each value in one form."""
    told: dict[str, Any] = {}
    for key, value in block.items():
        told |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": _plain(value)}
    return told


def _plain(value: Any) -> Any:
    """One form for values that YAML has several for: 60.0 and 60, 1e-05 and 0.00001, a date and its text."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Loader(yaml.SafeLoader):
    """YAML 1.2's truth values, as DVC writes them: ON and NO are tickers."""


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def parse_yaml(text: str) -> Any:
    """What a YAML text says. Raises YAMLError."""
    return yaml.load(text, _Loader)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises InputError where there is none."""
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the repository's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected `key: value` lines, found {type(values).__name__}")
    return values


def check_params(model: type[P], values: dict[str, Any], path: Path) -> P:
    """Build `model` from values, or raise InputError with one line per problem."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_explain(model, dict(problem)) for problem in error.errors()]
        raise InputError("\n".join(f"{path}: {line}" for line in lines)) from None


def _explain(model: type[Block], problem: dict[str, Any]) -> str:
    # A union's error names the member tried ('int', 'literal[..]') after the key: drop that.
    location = [str(part) for part in problem["loc"]]
    block, known = _descend(model, location)
    key = ".".join(location[: len(block) + 1])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{key} = {problem['input']!r} is not a known key; allowed here: {', '.join(known)}{hint}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if isinstance(problem.get("ctx", {}).get("error"), SecretError):
        return f"{key} {problem['ctx']['error']}"
    return f"{key} = {problem['input']!r} is not allowed: {problem['msg'].removeprefix('Value error, ')}"


def _descend(model: type[Block], location: list[str]) -> tuple[list[str], list[str]]:
    """The path of blocks that lead to the faulty key, and the keys known in the innermost one."""
    path: list[str] = []
    current = model
    for name in location[:-1]:
        field = current.model_fields.get(name)
        inner = _block_in(field.annotation) if field else None
        if inner is None:
            break
        path.append(name)
        current = inner
    return path, list(current.model_fields)


def _block_in(annotation: Any) -> type[Block] | None:
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return annotation
    return next((block for part in get_args(annotation) if (block := _block_in(part))), None)
