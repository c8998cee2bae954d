"""The data dictionary: every file of the pipeline, what is in it and where it comes from (SPEC 11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet
from tabulate import tabulate

from finscale.storage import md5_of

STATISTICS = ["count", "mean", "std", "min", "25%", "50%", "75%", "max"]


@dataclass(frozen=True)
class Origin:
    """Which stage makes a file, and from what."""

    stage: str
    inputs: list[str]


@dataclass(frozen=True)
class Meaning:
    """What a column holds."""

    category: str
    description: str


def generate_data_dictionary(
    files: list[Path], origins: Mapping[str, Origin], meanings: Mapping[str, Meaning], schema_only: frozenset[Path]
) -> str:
    """Markdown: a summary per folder, the lineage, then a section per file with its schema and statistics.

    files: parquet files. origins: by the path that dvc.yaml names (a file or its folder). meanings: by column. Of the
    files in `schema_only` no value is read: the test split stays closed.
    """
    parts = [
        "# Data dictionary",
        "",
        "Written by `make dictionary`; the pipeline's stage `dictionary` keeps it current.",
        "",
    ]
    parts += ["## Folders", "", _folders(files), "", "## Lineage", "", _lineage(origins), ""]
    for path in files:
        parts += _section(path, _origin(path, origins), meanings, path in schema_only)
    return "\n".join(parts) + "\n"


def _folders(files: list[Path]) -> str:
    rows = []
    for folder in dict.fromkeys(path.parent for path in files):
        own = [path for path in files if path.parent == folder]
        size = sum(path.stat().st_size for path in own) / 1e6
        counted = sum(pyarrow.parquet.read_metadata(path).num_rows for path in own)
        rows.append({"folder": f"{folder}/", "files": len(own), "rows": f"{counted:,}", "megabytes": f"{size:.2f}"})
    return _table(rows)


def _lineage(origins: Mapping[str, Origin]) -> str:
    return _table(
        [
            {"made": path, "by stage": origin.stage, "from": ", ".join(origin.inputs) or "its source"}
            for path, origin in origins.items()
        ]
    )


def _origin(path: Path, origins: Mapping[str, Origin]) -> Origin:
    return origins.get(path.as_posix()) or origins[path.parent.as_posix()]


def _section(path: Path, origin: Origin, meanings: Mapping[str, Meaning], schema_only: bool) -> list[str]:
    metadata, schema = pyarrow.parquet.read_metadata(path), pyarrow.parquet.read_schema(path)
    told = [
        f"## {path}",
        "",
        f"- shape: {metadata.num_rows:,} rows, {metadata.num_columns} columns",
        f"- source: stage `{origin.stage}`, from {', '.join(origin.inputs) or 'its source'}",
        f"- md5: `{md5_of(path)}`",
    ]
    if schema_only:
        told.append("- statistics: none; only stages that predict or score open these rows")
    frame = None if schema_only else pd.read_parquet(path)
    if frame is not None and "date" in frame and len(frame):
        told.insert(3, f"- dates: {frame['date'].min():%Y-%m-%d} to {frame['date'].max():%Y-%m-%d}")
    unknown = Meaning("", "")
    columns = [
        {
            "column": field.name,
            "dtype": str(field.type),
            "category": meanings.get(field.name, unknown).category,
            "description": meanings.get(field.name, unknown).description,
        }
        for field in schema
        if not field.name.startswith("__index")
    ]
    told += ["", _table(columns), ""]
    return told if frame is None else [*told, _statistics(frame), ""]


def _statistics(frame: pd.DataFrame) -> str:
    numbers = frame.select_dtypes("number")
    if numbers.empty:
        return ""
    described = numbers.astype(float).describe().T[STATISTICS]
    rows = [
        {"column": name, "count": f"{values['count']:.0f}"} | {key: f"{values[key]:.6g}" for key in STATISTICS[1:]}
        for name, values in described.iterrows()
    ]
    return _table(rows)


def _table(rows: list[dict]) -> str:
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
