"""What a result was made from, recorded by the stage that made it, and compared by whoever takes it.

DVC notes the settings of a stage when the stage ends, and a file lies where it lies whoever wrote it. So each stage
that makes a result says itself with which settings it began and on which files, and the next one looks.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from finscale.assets import data_set, parse_assets
from finscale.config import ALL, Block, flat, parse_budget, parse_share
from finscale.errors import InputError
from finscale.storage import md5_of

Made = dict[str, Any]

SINGLE = "single"  # the scheme of an evaluation on one division of the days, and of rows older than the column
_ALWAYS = ("task", "budget", "seed")
SHARES = {"symbols": "symbols", "history": "years"}  # axes of which there is a part, or all
TOLERANCE = 0.02  # of counted parameters against the budget (SPEC 7)


def made_from(params: Block, inputs: Iterable[Path], exclude: Mapping[str, Any] | None = None) -> Made:
    """{params, inputs}: the settings that a stage has read, but for `exclude`, and the MD5 of its input files."""
    told = params.model_dump(mode="json", exclude=dict(exclude or {}))
    return {"params": told, "inputs": {path.as_posix(): md5_of(path) for path in inputs}}


def differs_from(made: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """'budget = 10000, where params.yaml has 300K', of the first setting that differs; '' where none does.

    params: values as of params.yaml. Settings that a stage does not read are in one of both alone and not compared; a
    result that does not even tell budget, seed or task where the other does is of no known settings.
    """
    now = flat(params)
    for key, value in flat(made["params"]).items():
        if key in now and _plain(key, now[key]) != _plain(key, value):
            return f"{key} = {value}, where params.yaml has {now[key]}"
    untold = [key for key in _ALWAYS if key in now and key not in made["params"]]
    return f"a {untold[0]} that it does not tell" if untold else ""


def check_made_from(
    made: Mapping[str, Any] | None, params: Block, path: Path, exclude: Mapping[str, Any] | None = None
) -> None:
    """Raise InputError where the stage that wrote `path` ran with other settings, or on files that have changed since.

    made: what the stage recorded. params: those of the stage that takes the result. exclude: of made_from; of a block
    that both know, every key but these is told by both.
    """
    if not made or not made.get("inputs"):
        raise InputError(f"{path} does not say what it was made from; `dvc repro` makes it again")
    now = params.model_dump(mode="json", exclude=dict(exclude or {}))
    said = differs_from(made, now) or _untold(made["params"], now)
    stale = [name for name, md5 in made["inputs"].items() if not Path(name).exists() or md5_of(Path(name)) != md5]
    if stale and not said:
        said = f"another {stale[0]} than lies there now"
    if said:
        raise InputError(f"{path} was made with {said}; `dvc repro` makes it again")


def check_size(budget: str | int, counted: int) -> None:
    """Raise ValueError where counted parameters are not those of the budget, within 2 % (SPEC 7)."""
    asked = parse_budget(budget)
    if abs(counted / asked - 1) > TOLERANCE:
        raise ValueError(f"{counted:,} parameters counted for a budget of {budget}: more than 2 % apart")


def study_name(row: Any) -> str:
    """One word for one curve's axes: all but budget and seed, 'bundled-Aa-daily-a20-threshold_1pct-h5'.

    row: a mapping or ledger row with the axes and the scheme. Symbols, history and scheme are named unless they are all
    there are, and `single`: 'directory-all-a-16symbols-8years-daily-...'.
    """
    shares = "".join(f"-{row[axis]}{word}" for axis, word in SHARES.items() if axis_word(row[axis]) not in (ALL, ""))
    data = f"{row['source']}-{data_set(row['assets'], row['quality'])}{shares}"
    name = f"{data}-{row['timescale']}-{row['tier']}-{row['task']}-h{row['horizon']}"
    return name if row["scheme"] == SINGLE else f"{name}-{row['scheme']}"


def _untold(made: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A key of a block which one of both lacks, in words; '' where there is none."""
    for block in made.keys() & now.keys():
        one, other = (flat({block: values[block]}).keys() for values in (made, now))
        if unequal := sorted(one ^ other):
            return f"{unequal[0]} {'that it does not tell' if unequal[0] in other else 'that this code does not know'}"
    return ""


def axis_word(value: Any) -> str:
    """An axis as the ledger has it: `all` for null."""
    return ALL if value is None else str(value)


def _plain(key: str, value: Any) -> Any:
    readers = {"budget": parse_budget, "assets": parse_assets, "symbols": parse_share, "history": parse_share}
    return readers.get(key, _same)(value)


def _same(value: Any) -> Any:
    return value
