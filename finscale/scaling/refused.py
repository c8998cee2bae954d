"""Runs that the data refused, because a split had too few rows or positives: no result, and not for want of trying."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.config import ALL, parse_budget
from finscale.identity import SHARES, axis_word
from finscale.scaling.ledger import AXES
from finscale.scaling.lines import read_lines, read_to_extend
from finscale.storage import write_csv

_IDENTITY = (*AXES, "scheme", "settings")
_COLUMNS = (*_IDENTITY, "reason")
_NEEDED = ("source", "assets", "task", "horizon", "scheme", "settings")
_STAGE = "dataset: "  # whose refusals depend on the data alone (finscale.data.dataset.check_splits)
_COUNTED = re.compile(r"has (\d+ \w+)")


def read_refused(path: Path) -> pd.DataFrame:
    """axes, scheme, settings (their digest) and reason; empty where no run was refused yet.

    A line that is no row is set aside, and named on stderr.
    """
    lines = read_lines(path, _COLUMNS, _check)
    for fault in lines.faults:
        print(f"warning: {fault}", file=sys.stderr)
    return _table(lines.rows)


def extend_refused(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the table with these rows. Raises InputError where it holds a line that is no row."""
    known = _table(read_to_extend(path, _COLUMNS, _check).rows)
    write_csv(path, add_refused(known, rows))


def _table(rows: list[dict[str, str]]) -> pd.DataFrame:
    """Older files lack the shares of symbols and history: what was refused then was refused of all."""
    told = pd.DataFrame(rows, columns=list(_COLUMNS))
    return told.assign(**{axis: told[axis].replace("", ALL) for axis in SHARES})


def add_refused(known: pd.DataFrame, rows: list[dict[str, str]]) -> pd.DataFrame:
    """One row for each run, with the reason that it was given last."""
    told = pd.concat([known, pd.DataFrame(rows, columns=list(_COLUMNS))], ignore_index=True)
    return told.drop_duplicates(list(_IDENTITY), keep="last", ignore_index=True)


def _check(row: Mapping[str, str]) -> None:
    parse_budget(row["budget"])
    if not row["seed"].isdigit():
        raise ValueError(f"seed = {row['seed']!r} is no number")
    if empty := [name for name in _NEEDED if not row[name]]:
        raise ValueError(f"{', '.join(empty)}: no value")
    if not is_refusal(row["reason"]):
        raise ValueError(f"reason = {row['reason']!r} is none that the stage `dataset` gives")


def is_refusal(reason: str) -> bool:
    """Whether a failed run's last words say that its data allow no result."""
    return reason.startswith(_STAGE)


def refusal(axes: Mapping[str, Any], scheme: str, settings: str, reason: str) -> dict[str, str]:
    """A row for add_refused."""
    return {axis: axis_word(axes[axis]) for axis in AXES} | {"scheme": scheme, "settings": settings, "reason": reason}


def in_short(reason: str) -> str:
    """'refused: 11 positives'."""
    counted = _COUNTED.search(reason)
    return f"refused: {counted[1]}" if counted else "refused"
