"""The raw store: what servers have answered, kept for good outside DVC's outputs.

    <root>/<source>/<series>/<first>_<last>-<8 digits of its md5>.parquet   one answer, never rewritten
    <root>/manifest.csv    source, series, first, last, rows, columns, md5, retrieved

A series is asked for once. A later `data.end` asks for the new days only (with some overlap, to see whether
the old ones still hold) and adds a file. Any number of experiments may share a store; two stores of different days
may share a backup, since a file's name tells its content. An answer is judged by the module that asked for it,
before it comes here (contract.py); one that turns out bad later is asked for anew by a newer `data.vintage`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from finscale.errors import InputError
from finscale.sources.inputs import MANIFEST, place_of
from finscale.storage import md5_of, read_csv, read_parquet, write_atomically, write_csv

OVERLAP = timedelta(days=30)
COLUMNS = ["source", "series", "first", "last", "rows", "columns", "md5", "retrieved"]

Fetch = Callable[[date, date], pd.DataFrame]
Row = Mapping[str, Any]  # of the manifest


@dataclass(frozen=True)
class Segment:
    """One answer of a server: the days that were asked for, and its rows."""

    first: date
    last: date
    frame: pd.DataFrame
    retrieved: str

    @property
    def newest(self) -> date:
        return self.frame["date"].max().date()


class RawStore:
    """The answers under `root`. vintage: those retrieved before that day count as if they were not there."""

    def __init__(self, root: Path, vintage: date | None = None) -> None:
        self.root, self.vintage = root, vintage

    def segments(self, source: str, series: str, first: date, last: date, fetch: Fetch) -> list[Segment]:
        """Answers that cover first..last, oldest first; `fetch` is called for days that none covers.

        For one range the answer is always the same: files added later for other ranges do not enter it.
        """
        with self._locked():
            kept = self._covering(source, series, first, last)
            if kept is None:
                kept = [self._add(source, series, first, last, fetch(first, last))]
            elif kept[-1].last < last:
                begin = kept[-1].newest - OVERLAP  # of a symbol that has ended, its last days
                kept.append(self._add(source, series, begin, last, fetch(begin, last)))
            return kept

    def whole(self, source: str, series: str, first: date, last: date, fetch: Fetch) -> Segment:
        """The answer for exactly first..last: for series that their publisher re-estimates as a whole."""
        with self._locked():
            for segment in self._stored(source, series):
                if (segment.first, segment.last) == (first, last):
                    return segment
            return self._add(source, series, first, last, fetch(first, last))

    def manifest(self) -> pd.DataFrame:
        """One row per file; empty where nothing has been stored."""
        path = self.root / MANIFEST
        return read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)

    def damaged(self) -> list[str]:
        """Files of the manifest that are absent or whose hash has changed."""
        problems = []
        for row in self.manifest().to_dict("records"):
            path = self.root / place_of(self.root, row)
            if not path.exists():
                problems.append(f"{path}: missing")
            elif md5_of(path) != row["md5"]:
                problems.append(f"{path}: changed since it was retrieved")
        return problems

    def _locked(self) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / ".lock")

    def _stored(self, source: str, series: str) -> list[Segment]:
        rows = self.manifest()
        rows = rows[(rows["source"] == source) & (rows["series"] == series)]
        wanted = [row for row in rows.to_dict("records") if not self.vintage or row["retrieved"] >= f"{self.vintage}"]
        return [self._load(row) for row in wanted]

    def _load(self, row: Row) -> Segment:
        path = self.root / place_of(self.root, row)
        if not path.exists() or md5_of(path) != row["md5"]:
            raise InputError(f"{path} is missing or damaged; restore it from the backup (`make verify-backup`)")
        return Segment(
            date.fromisoformat(row["first"]), date.fromisoformat(row["last"]), read_parquet(path), row["retrieved"]
        )

    def _covering(self, source: str, series: str, first: date, last: date) -> list[Segment] | None:
        """The chain of answers from one that begins by `first`; in the order they were retrieved."""
        chain: list[Segment] = []
        for segment in self._stored(source, series):
            if not chain and segment.first <= first:
                chain = [segment]
            elif chain and segment.first <= chain[-1].last < segment.last:
                chain.append(segment)
            if chain and chain[-1].last >= last:
                break
        return chain or None

    def _add(self, source: str, series: str, first: date, last: date, frame: pd.DataFrame) -> Segment:
        content = frame.to_parquet(index=False)
        retrieved = datetime.now(UTC).isoformat(timespec="seconds")
        row = {
            "source": source, "series": series, "first": f"{first}", "last": f"{last}", "rows": len(frame),
            "columns": len(frame.columns), "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "retrieved": retrieved,
        }  # fmt: skip
        write_atomically(self.root / place_of(self.root, row), lambda temporary: _write(temporary, content))
        before = self.manifest().to_dict("records")
        write_csv(self.root / MANIFEST, pd.DataFrame([*before, row]))
        return Segment(first, last, frame, retrieved)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
