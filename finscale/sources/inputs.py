"""What a source will read on this machine, told by content: the part of `download`'s identity that DVC cannot see.

    bundled    {"package": "arch 8.0.0"}
    simulated  {}
    directory  {"files": {"ohlcv/SPY.csv": <md5>, ...}}; {"files": null} where there is no such folder
    live       {"answers": {"yahoo/SPY/1993-01-01_2025-12-31-0f3a5b7c.parquet": <md5>, ...},
                "files": as above, of LIBOR and search trends alone}

Names are relative to the folder and the raw store: the same content elsewhere is the same input. No table is read here.
"""

import csv
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from finscale.config import Quality, Source
from finscale.errors import InputError
from finscale.sources.config import DataConfig
from finscale.sources.layout import files_of
from finscale.sources.tables import SERVERS, Universe, Wanted, wanted
from finscale.storage import md5_of, read_text, write_json

LIBOR = "USD3MTD156N"
MANIFEST = "manifest.csv"  # of the raw store
_NAMED = {"source", "series", "first", "last", "md5"}  # what names an answer there


class HashMemo:
    """MD5 of files, computed again only where size, times or inode have changed.

    path: where it is kept between runs, on this machine alone; a damaged file is begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, list[Any]] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):  # TypeError: JSON of another shape
            self._known = {}
        self._changed = False

    def md5(self, file: Path) -> str:
        told = file.stat()
        state = [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]
        key = str(file.resolve())
        if key not in self._known or self._known[key][0] != state:
            self._known[key] = [state, md5_of(file)]
            self._changed = True
        return str(self._known[key][1])

    def save(self) -> None:
        if self._changed:
            write_json(self._path, self._known)


def store_folder(environment: Mapping[str, str]) -> Path:
    """The raw store: outside the repository, so that every clone and every experiment shares it."""
    return Path(environment.get("FINSCALE_STORE") or user_data_path("finscale") / "raw")


def inputs_of(
    source: Source, universe: Universe, quality: Quality, config: DataConfig, memo: HashMemo
) -> dict[str, Any]:
    """What `fetch` of the same arguments will read. Absent files are told by their absence: `fetch` says what to do."""
    if source == "bundled":
        return {"package": f"arch {version('arch')}"}
    if source == "simulated":
        return {}
    series = wanted(universe, quality)
    if source == "directory":
        return {"files": _files(config.directory, series, memo)}
    own = [one for one in series if saved_by_hand(one)]
    return {"answers": _answers(store_folder(os.environ), series, memo), "files": _files(config.directory, own, memo)}


def saved_by_hand(series: Wanted) -> bool:
    """Series of `live` that come from the user's folder: FRED no longer serves LIBOR, and Google answers no program."""
    return series.name == LIBOR or series.kind == "trends"


def place_of(store: Path, row: Mapping[str, Any]) -> Path:
    """Where an answer of the manifest lies in a store: named by its days and its content, so that stores of different
    days can share a folder; or, as earlier versions did, by its days alone."""
    folder, days = Path(row["source"], row["series"]), f"{row['first']}_{row['last']}"
    named, earlier = folder / f"{days}-{row['md5'][:8]}.parquet", folder / f"{days}.parquet"
    return earlier if (store / earlier).exists() and not (store / named).exists() else named


def _files(directory: str, series: list[Wanted], memo: HashMemo) -> dict[str, str] | None:
    if not Path(directory).is_dir():
        return None
    found = {path for one in series for path in files_of(directory, one)}
    return {path.relative_to(directory).as_posix(): memo.md5(path) for path in sorted(found)}


def _answers(store: Path, series: list[Wanted], memo: HashMemo) -> dict[str, str | None]:
    """Every stored answer about the series, whatever its days; None for a file that is gone."""
    asked = {(SERVERS[one.kind], one.name) for one in series}
    if not (store / MANIFEST).exists():
        return {}
    rows = [row for row in _manifest(store / MANIFEST) if (row["source"], row["series"]) in asked]
    paths = {place_of(store, row) for row in rows}
    return {path.as_posix(): memo.md5(store / path) if (store / path).exists() else None for path in sorted(paths)}


def _manifest(path: Path) -> list[dict[str, str]]:
    """The raw store's rows. Raises InputError where the file is no list of answers, or only a part of one."""
    text = read_text(path)
    table = csv.DictReader(text.splitlines())
    rows = list(table)
    whole = set(table.fieldnames or ()) >= _NAMED and not any(None in row or None in row.values() for row in rows)
    if not whole or not text.endswith("\n"):
        raise InputError(f"{path} is no list of stored answers, or was cut; put it back from a backup of the raw store")
    return rows
