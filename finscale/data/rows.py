"""Development rows for training: a small table of keys, and all features as one matrix that processes share.

The parquet file is read once into a plain file of float32 under the scratch folder, named by its content's hash, and
mapped into memory: runs side by side on the same rows hold it once. The file goes when the last one that uses it ends.

Shapes: R rows of all assets stacked, C channels (features).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from torch import Tensor

from finscale.data.dataset import KEYS, feature_names, read_development
from finscale.storage import md5_of, write_atomically

_USED = ["date", "asset", "split", "label"]
_ROWS_AT_ONCE = 1 << 16  # of the parquet file in memory
_BUFFER = 1 << 20  # bytes read of a column at once; without one, Arrow reads whole columns


@dataclass(frozen=True)
class Rows:
    """keys: date, asset, split, label per row; matrix: the features, float32."""

    keys: pd.DataFrame
    features: list[str]
    matrix: Tensor  # (R, C)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Rows":
        """The rows of a table of KEYS and features."""
        features = feature_names(frame)
        matrix_RC = torch.from_numpy(frame[features].to_numpy(dtype=np.float32, copy=True))
        return cls(frame[_USED], features, matrix_RC)

    def on(self, device: torch.device) -> "Rows":
        return Rows(self.keys, self.features, self.matrix.to(device))


@contextmanager
def shared_rows(path: Path, scratch: Path) -> Iterator[Rows]:
    """The rows of a file of development rows, their matrix shared with every process that is inside for the same rows.

    Raises InputError where the file holds test rows.
    """
    keys = read_development(path, _USED)
    features = [name for name in pq.read_schema(path).names if name not in KEYS]
    folder = scratch / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder / f"{md5_of(path)}.float32", path, features) as matrix:
        size = len(keys) * len(features)
        values = torch.from_file(str(matrix), shared=False, size=size, dtype=torch.float32)
        yield Rows(keys, features, values.reshape(len(keys), len(features)))


@contextmanager
def _held(matrix: Path, source: Path, features: list[str]) -> Iterator[Path]:
    """The matrix's file, there as long as anybody is inside."""
    file = None
    while file is None:
        with _writing(matrix.parent):
            for left in matrix.parent.glob("*.float32"):  # by a process that was killed, half written ones too
                _remove_unused(left)
            if not matrix.exists():
                write_atomically(matrix, lambda temporary: _write(temporary, source, features))
            file = _opened(matrix)
    try:
        yield matrix
    finally:
        file.close()
        _remove_unused(matrix)


def _opened(matrix: Path) -> BinaryIO | None:
    """The file, kept from removal while it is open; None where its last user has just removed it."""
    try:
        file = matrix.open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(file, fcntl.LOCK_SH)
    if matrix.exists() and os.path.samestat(os.fstat(file.fileno()), matrix.stat()):
        return file
    file.close()
    return None


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One process at a time: what is half written is then nobody's, and runs that start together write once."""
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_unused(matrix: Path) -> None:
    try:
        with matrix.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            matrix.unlink()
    except (BlockingIOError, FileNotFoundError):
        return


def _write(target: Path, source: Path, features: list[str]) -> None:
    """The features row by row, a part of the file in memory at a time."""
    with target.open("wb") as file, pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER) as table:
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=features, use_threads=False):
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in features]
            # Not tofile(), whose error on a full disk does not say that it is one.
            file.write(np.stack(columns, axis=1).astype(np.float32, copy=False).data)
