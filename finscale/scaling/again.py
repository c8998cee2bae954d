"""The line that makes a run of the ledger again."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from finscale.config import flat
from finscale.identity import SINGLE, axis_word
from finscale.scaling.ledger import AXES
from finscale.scaling.settings import Settings

_ALWAYS = ("budget", "seed")  # said even where they are today's: they are what a run differs in from its neighbours
_SCHEME = re.compile(r"(?P<window>\w+)-(?P<years>\d+\+\d+\+\d+\+\d+)y-embargo(?P<embargo>\d+)-from(?P<first>\d+)")
_YEARS = ("train_years", "validation_years", "calibration_years", "test_years")
_PLAIN = re.compile(r"[\w.+:/-]+")


def again(run: Mapping[str, Any], settings: Settings | None, params: Mapping[str, Any]) -> str:
    """`dvc exp run -S ...` with all in which the run differs from this params.yaml, axes first.

    run: a row of the ledger: axes, scheme, commit. settings: what it had set beside them; None for rows from before
    settings were told apart, which are made again at their own commit, with every axis said.
    """
    today, wanted = flat(params), {axis: axis_word(run[axis]) for axis in AXES}
    if settings is None:
        return f"git checkout {run['commit']} && {_command(wanted)}"
    axes = {name: value for name, value in wanted.items() if name in _ALWAYS or value != axis_word(today.get(name))}
    wanted = _scheme(str(run["scheme"]), str(run["source"])) | settings
    others = {key: value for key, value in wanted.items() if key in today and today[key] != value}
    return _command(axes | others)


def _scheme(identity: str, source: str) -> Settings:
    """EvaluationConfig.identity taken apart: 'rolling-10+1+1+1y-embargo5-from2013'."""
    found = _SCHEME.fullmatch(identity)
    if found is None:
        return {"evaluation.scheme": SINGLE}
    years = dict(zip(_YEARS, map(int, found["years"].split("+")), strict=True))
    first = {f"first_test.{'bundled' if source == 'bundled' else 'live'}": int(found["first"])}
    told = {"window": found["window"], **years, "embargo": int(found["embargo"]), **first}
    return {"evaluation.scheme": "walk_forward"} | {f"evaluation.walk_forward.{key}": told[key] for key in told}


def _command(settings: Mapping[str, Any]) -> str:
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(f'{key}={_text(value)}')}" for key, value in settings.items())])


def _text(value: Any) -> str:
    """As DVC's overrides read it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', r"\"") + '"'
