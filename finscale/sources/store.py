"""The raw store: what servers have answered, kept for good outside DVC's outputs.

    <root>/<source>/<series>/<first>_<last>.parquet   one answer, never rewritten
    <root>/manifest.csv                               source, series, first, last, rows, columns, md5, retrieved

A series is asked for once. A later `data.end` asks for the new days only (with some overlap, to see whether
the old ones still hold) and adds a file. Any number of experiments may share a store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
from filelock import FileLock

from finscale.errors import InputError
from finscale.sources.inputs import MANIFEST
from finscale.storage import md5_of, read_parquet, write_csv, write_parquet

OVERLAP = timedelta(days=30)

Fetch = Callable[[date, date], pd.DataFrame]


@dataclass(frozen=True)
class Segment:
    """One answer of a server: the days that were asked for, and its rows."""

    first: date
    last: date
    frame: pd.DataFrame
    retrieved: str


class RawStore:
    def __init__(self, root: Path) -> None:
        self.root = root

    def segments(self, source: str, series: str, first: date, last: date, fetch: Fetch) -> list[Segment]:
        """Answers that cover first..last, oldest first; `fetch` is called for days that none covers.

        For one range the answer is always the same: files added later for other ranges do not enter it.
        """
        with self._locked():
            kept = self._covering(source, series, first, last)
            if kept is None:
                kept = [self._add(source, series, first, last, fetch(first, last))]
            elif kept[-1].last < last:
                begin = kept[-1].last - OVERLAP
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
        columns = ["source", "series", "first", "last", "rows", "columns", "md5", "retrieved"]
        return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)

    def damaged(self) -> list[str]:
        """Files of the manifest that are absent or whose hash has changed."""
        problems = []
        for row in self.manifest().itertuples():
            path = self._path(str(row.source), str(row.series), str(row.first), str(row.last))
            if not path.exists():
                problems.append(f"{path}: missing")
            elif md5_of(path) != row.md5:
                problems.append(f"{path}: changed since it was retrieved")
        return problems

    def _locked(self) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / ".lock")

    def _path(self, source: str, series: str, first: str, last: str) -> Path:
        return self.root / source / series / f"{first}_{last}.parquet"

    def _stored(self, source: str, series: str) -> list[Segment]:
        rows = self.manifest()
        rows = rows[(rows["source"] == source) & (rows["series"] == series)]
        return [self._load(source, series, row) for row in rows.to_dict("records")]

    def _load(self, source: str, series: str, row: dict[str, str]) -> Segment:
        path = self._path(source, series, row["first"], row["last"])
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
        path = self._path(source, series, f"{first}", f"{last}")
        if path.exists():
            raise InputError(
                f"{path} exists but is not in {MANIFEST}; move it away: stored answers are never rewritten"
            )
        write_parquet(path, frame)
        retrieved = datetime.now(UTC).isoformat(timespec="seconds")
        row = {
            "source": source, "series": series, "first": f"{first}", "last": f"{last}", "rows": len(frame),
            "columns": len(frame.columns), "md5": md5_of(path), "retrieved": retrieved,
        }  # fmt: skip
        before = self.manifest().to_dict("records")
        write_csv(self.root / MANIFEST, pd.DataFrame([*before, row]))
        return Segment(first, last, frame, retrieved)
