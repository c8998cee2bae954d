"""Hundreds of series on a page that a person reads: totals, and the worst by name. Files for machines hold them all."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

READABLE = 40  # up to so many, each has a line of its own
WORST = 5
_COLUMNS = ["series", "kind", "origin", "first", "last", "rows", "md5", "notes"]


def some(names: Sequence[str], shown: int = WORST) -> str:
    """'A, B, C, D, E and 494 more'."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def series_lines(manifest: pd.DataFrame) -> list[str]:
    """What data/raw/manifest.csv holds, for reports/validation.md."""
    if len(manifest) <= READABLE:
        return [
            f"{row.series} ({row.kind}, {row.origin}): {row.rows} rows, {row.first} to {row.last}"
            + (f". {row.notes}" if row.notes else "")
            for row in manifest.itertuples()
        ]
    lines = []
    for kind, own in manifest.groupby("kind", sort=False):
        rows = own["rows"]
        lines.append(
            f"{len(own)} series of {kind}: {rows.sum():,} rows, {own['first'].min()} to {own['last'].max()}; "
            f"{rows.min():,} to {rows.max():,} rows each, {rows.median():,.0f} in the middle"
        )
        lines += _apart(own)
    said = Counter(_unnamed(row.notes, row.origin) for row in manifest.itertuples() if row.notes)
    return lines + [f"{count} series: {note}" for note, count in said.most_common()]


def _apart(own: pd.DataFrame) -> list[str]:
    """The series that begin last, and those that end first."""
    late = own[own["first"] > own["first"].min()].sort_values("first", ascending=False, kind="stable")
    early = own[own["last"] < own["last"].max()].sort_values("last", kind="stable")
    told = []
    if len(late):
        told.append(f"begin last: {some([f'{row.series} ({row.first})' for row in late.itertuples()])}")
    if len(early):
        told.append(f"end first: {some([f'{row.series} ({row.last})' for row in early.itertuples()])}")
    return told


def _unnamed(note: str, origin: str) -> str:
    """A note without the name of the file that it is of, so that those of many files are one."""
    return note.replace(f"{origin}: ", "")


def series_table(manifest: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the page's table of raw series; of hundreds one per kind."""
    if len(manifest) <= READABLE:
        return list(manifest[_COLUMNS].to_dict("records"))
    return [
        {"series": f"{len(own)} series", "kind": kind, "origin": some(sorted(set(own["origin"]))),
         "first": own["first"].min(), "last": own["last"].max(), "rows": int(own["rows"].sum()), "md5": "",
         "notes": "each in data/raw/manifest.csv"}
        for kind, own in manifest.groupby("kind", sort=False)
    ]  # fmt: skip


def usable_rows(usable: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """First usable day of each asset and tier; of hundreds the earliest, middle and latest, and the last ones by name.

    usable: data/interim/features.json, assets; those with rows.
    """
    rows = [{"asset": asset, "rows": told["rows"]} | told["first_per_tier"] for asset, told in usable.items()]
    if len(rows) <= READABLE:
        return rows
    table = pd.DataFrame(rows).sort_values("rows", ascending=False, kind="stable", ignore_index=True)
    middle = table.iloc[[0, len(table) // 2]].assign(asset=["the longest", "in the middle"])
    return list(pd.concat([middle, table.tail(WORST)]).to_dict("records"))
