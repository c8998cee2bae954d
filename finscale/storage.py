"""Reading and writing of artefacts. Every write is atomic: a failed stage leaves the old file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]

from finscale.errors import InputError
from finscale.faults import in_words, raise_in_words

if TYPE_CHECKING:  # half a second to import, and the first stages, which always run, hold no table
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from torch import Tensor

TEMPORARY = ".tmp-"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path), then rename it to `path`.

    DVC and git ignore the temporary file (.dvcignore, .gitignore): what a killed process leaves is part of no hash.
    Raises InputError for a fault of the machine, such as a full disk.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(path)
    except Exception as error:  # libraries in other languages have exceptions of their own for a full disk
        raise_in_words(error, path)
        raise
    finally:
        with suppress(OSError):  # where nothing can be written nothing can be removed either
            temporary.unlink(missing_ok=True)


@contextmanager
def parts_beside(path: Path) -> Iterator[Path]:
    """A folder for the parts that `path` will be made of, on the same disk; it goes with the block."""
    folder = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}-parts")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes of this machine had half written in a folder: files, and folders of parts."""
    for path in folder.glob(f"{TEMPORARY}*"):
        number = path.name.removeprefix(TEMPORARY).partition("-")[0]
        if not number.isdigit() or psutil.pid_exists(int(number)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: _write_bytes(temporary, content))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read_text(path: Path) -> str:
    """Raises InputError where there is no such file, or it is no text."""
    _require(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error.reason} at byte {error.start}); `git checkout {path}`") from None


def write_json(path: Path, values: Any) -> None:
    """Indented JSON; NaN and infinity are refused, since no JSON reader has to accept them."""
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}: no JSON ({error.msg}), as a merge or a full disk leaves it; put it back "
            f"with `git checkout {path}`, or make it again"
        ) from None


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Parquet without the index, floats by byte stream split: a panel takes two thirds of what snappy leaves.

    A dictionary of values that hardly repeat makes a file larger than the values themselves.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, **_layout(table.schema)))


def _layout(schema: pa.Schema, compression: str = "zstd") -> dict[str, Any]:
    import pyarrow as pa

    floats = {field.name for field in schema if pa.types.is_floating(field.type)}
    return {
        "compression": compression,
        "use_dictionary": [name for name in schema.names if name not in floats],
        "use_byte_stream_split": sorted(floats),
    }


def write_arrow(path: Path, frame: pd.DataFrame) -> None:
    """An uncompressed Arrow file, for passing a large table on to another process without parsing it.

    Columns go over as they lie in memory. What pandas adds, types of its own and a search for gaps in each of 2,000
    columns, takes twice as long as the writing, and a reader finds the same without it.
    """
    import pyarrow as pa
    from pyarrow import feather

    table = pa.table({str(name): column.to_numpy() for name, column in frame.items()})
    write_atomically(path, lambda temporary: feather.write_feather(table, temporary, compression="uncompressed"))


def join_arrow(path: Path, parts: Iterable[Path]) -> None:
    """Arrow files of one schema to one parquet file, a row group each; only one is in memory at a time.

    As of write_parquet, but by lz4: features hardly shrink, and zstd takes two thirds longer to spare 3 % of the room.
    """
    import pyarrow.parquet as pq
    from pyarrow import feather

    def write(temporary: Path) -> None:
        writer: pq.ParquetWriter | None = None
        for part in parts:
            table = feather.read_table(part, memory_map=True)
            writer = writer or pq.ParquetWriter(temporary, table.schema, **_layout(table.schema, "lz4"))
            writer.write_table(table, row_group_size=max(len(table), 1))
        if writer is None:
            raise InputError(f"{path}: there is nothing to write")
        writer.close()

    write_atomically(path, write)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table; with `columns` nothing but these is read."""
    import pandas as pd
    from pyarrow import ArrowInvalid

    _require(path)
    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except (ArrowInvalid, OSError) as error:
        raise _damaged(path, "parquet file", error) from None


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, lambda temporary: frame.to_csv(temporary, index=False))


def read_csv(path: Path, text: Sequence[str] = (), dates: Sequence[str] = (), **options: Any) -> pd.DataFrame:
    """A small table; `text` columns stay as written, `dates` become datetimes. options: of pandas.read_csv."""
    import pandas as pd

    _require(path)
    try:
        if (content := path.read_bytes()) and not content.endswith(b"\n"):  # as every writer here ends a file
            raise ValueError("its last line was cut: delete it where the rows before it are to be kept")
        return pd.read_csv(io.BytesIO(content), dtype=dict.fromkeys(text, str), parse_dates=list(dates), **options)
    except (ValueError, OSError) as error:  # pandas' own errors of parsing are ValueErrors
        raise _damaged(path, "table", error) from None


def read_footer(path: Path) -> pq.FileMetaData:
    """What a parquet file says of its rows and columns, without reading them."""
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    _require(path)
    try:
        return pq.read_metadata(path)
    except (ArrowInvalid, OSError) as error:
        raise _damaged(path, "parquet file", error) from None


def md5_of(path: Path) -> str:
    """MD5 of a file's bytes, as DVC and the raw manifest record it (identity, not security)."""
    with path.open("rb") as file:  # weights may be larger than the memory left
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, "safetensors file", error) from None


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    """A fault of the machine, or else a file that is not what its name says."""
    if said := in_words(error, path):
        return InputError(said)
    words = " ".join(str(error).split())[:160]
    return InputError(
        f"{path}: no {kind} can be read there ({words}); `dvc checkout --force {path}` or `git checkout {path}` "
        "puts it back, `dvc repro` makes it again"
    )


def _require(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; `dvc repro` makes it, `dvc pull` fetches it")
