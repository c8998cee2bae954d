"""Runs that the data refused, because a split had too few rows or positives: no result, and not for want of trying."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.config import ALL
from finscale.identity import SHARES, axis_word
from finscale.scaling.ledger import AXES

_IDENTITY = (*AXES, "scheme", "settings")
_COLUMNS = (*_IDENTITY, "reason")
_STAGE = "dataset: "  # whose refusals depend on the data alone (finscale.data.dataset.check_splits)
_COUNTED = re.compile(r"has (\d+ \w+)")


def read_refused(path: Path) -> pd.DataFrame:
    """axes, scheme, settings (their digest) and reason; empty where no run was refused yet."""
    if not path.exists():
        return pd.DataFrame(columns=list(_COLUMNS))
    told = pd.read_csv(path, dtype=str, keep_default_na=False)
    return told.assign(**{axis: ALL for axis in SHARES if axis not in told})[list(_COLUMNS)]


def add_refused(known: pd.DataFrame, rows: list[dict[str, str]]) -> pd.DataFrame:
    """One row for each run, with the reason that it was given last."""
    told = pd.concat([known, pd.DataFrame(rows, columns=list(_COLUMNS))], ignore_index=True)
    return told.drop_duplicates(list(_IDENTITY), keep="last", ignore_index=True)


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
