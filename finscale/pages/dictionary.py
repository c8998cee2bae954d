"""The data dictionary: every file of the pipeline, what is in it and where it comes from (SPEC 11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.pages.render import Rows, render
from finscale.storage import md5_of, read_footer, read_parquet

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
    lineage = [
        {"made": path, "by stage": origin.stage, "from": ", ".join(origin.inputs) or "its source"}
        for path, origin in origins.items()
    ]
    told = [_file(path, _origin(path, origins), meanings, path in schema_only) for path in files]
    return render("dictionary.md.j2", folders=_folders(files), lineage=lineage, files=told)


def _folders(files: list[Path]) -> Rows:
    rows = []
    for folder in dict.fromkeys(path.parent for path in files):
        own = [path for path in files if path.parent == folder]
        size = sum(path.stat().st_size for path in own) / 1e6
        counted = sum(read_footer(path).num_rows for path in own)
        rows.append({"folder": f"{folder}/", "files": len(own), "rows": f"{counted:,}", "megabytes": f"{size:.2f}"})
    return rows


def _origin(path: Path, origins: Mapping[str, Origin]) -> Origin:
    return origins.get(path.as_posix()) or origins[path.parent.as_posix()]


def _file(path: Path, origin: Origin, meanings: Mapping[str, Meaning], closed: bool) -> dict[str, Any]:
    metadata = read_footer(path)
    schema = metadata.schema.to_arrow_schema()
    frame, unknown = None if closed else read_parquet(path), Meaning("", "")
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
    return {
        "path": path.as_posix(),
        "rows": metadata.num_rows,
        "width": metadata.num_columns,
        "dates": "" if frame is None else _days(frame),
        "origin": origin,
        "md5": md5_of(path),
        "closed": closed,
        "columns": columns,
        "statistics": [] if frame is None else _statistics(frame),
    }


def _days(frame: pd.DataFrame) -> str:
    """'2000-01-03 to 2018-12-31', empty where there are none."""
    return f"{frame['date'].min():%Y-%m-%d} to {frame['date'].max():%Y-%m-%d}" if "date" in frame and len(frame) else ""


def _statistics(frame: pd.DataFrame) -> Rows:
    numbers = frame.select_dtypes("number")
    if numbers.empty:
        return []
    described = numbers.astype(float).describe().T[STATISTICS]
    return [
        {"column": name, "count": f"{values['count']:.0f}"} | {key: f"{values[key]:.6g}" for key in STATISTICS[1:]}
        for name, values in described.iterrows()
    ]
