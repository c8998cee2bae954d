"""Reading and writing of artefacts. Every write is atomic: a failed stage leaves the old file."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from finscale.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call write(temporary path), then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text)


def write_json(path: Path, values: Any) -> None:
    """Indented JSON; NaN and infinity are refused, since no JSON reader has to accept them."""
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    _require(path)
    return json.loads(path.read_text())


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Snappy parquet without the index."""
    write_atomically(path, lambda temporary: frame.to_parquet(temporary, index=False))


def write_parquet_parts(path: Path, frames: Iterable[pd.DataFrame]) -> None:
    """One snappy parquet file with a row group per frame, so that only one of them is in memory at a time."""

    def write(temporary: Path) -> None:
        writer: pq.ParquetWriter | None = None
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table, row_group_size=max(len(frame), 1))
        if writer is None:
            raise InputError(f"{path}: there is nothing to write")
        writer.close()

    write_atomically(path, write)


def read_parquet(path: Path) -> pd.DataFrame:
    _require(path)
    return pd.read_parquet(path)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, lambda temporary: frame.to_csv(temporary, index=False))


def md5_of(path: Path) -> str:
    """MD5 of a file's bytes, as DVC and the raw manifest record it (identity, not security)."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _require(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; `dvc repro` makes it, `dvc pull` fetches it")
