"""directory: a user's own folder of CSV or parquet files; finscale/sources/layout.py says what lies where.

Prices without adj_close count as adjusted already. Columns may be capitalised as they like.
"""

from pathlib import Path

import pandas as pd

from finscale.errors import InputError
from finscale.sources.layout import FOLDERS, files_of
from finscale.sources.tables import COLUMNS, Wanted

SEARCH_TERM = "stock market"  # neutral; chosen by no data

_OPTIONAL = ("SOFR",)  # LIBOR's successor: without it the 3-month rate ends with LIBOR, and says so


def present(directory: str, series: list[Wanted]) -> list[Wanted]:
    """The wanted series that the folder has. Raises InputError, naming the file, for one that it must have."""
    if not Path(directory).is_dir():
        raise InputError(f"params.yaml: data.directory = {directory}: no such folder")
    return [one for one in series if one.name not in _OPTIONAL or files_of(directory, one)]


def has(directory: str, series: Wanted) -> bool:
    return bool(files_of(directory, series))


def fetch(directory: str, series: Wanted) -> tuple[pd.DataFrame, str]:
    """One series with the columns of its kind, and the name of its file inside the folder.

    Raises InputError naming the file where it is absent, cannot be read or lacks a column.
    """
    files = files_of(directory, series)
    folder = Path(directory) / FOLDERS[series.kind]
    if len(files) != 1:
        found = ", ".join(sorted(path.name for path in files)) or "none"
        raise InputError(f"{folder}: expected one file for {series.name} (.csv or .parquet), found {found}")
    frame = _read(files[0])
    if "date" not in frame:
        raise InputError(f"{files[0]}: no date column among {', '.join(frame.columns)}")
    frame["date"] = _dates(frame["date"], files[0])
    return _SHAPES[series.kind](frame, files[0]), str(files[0].relative_to(directory))


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    frame = frame.rename(columns=lambda name: str(name).strip().lower().replace(" ", "_"))
    return frame.rename(columns={"google_start_date": "date", "google_end_date": "week_end"})


def _dates(column: pd.Series, path: Path) -> pd.Series:
    try:
        return pd.to_datetime(column).astype("datetime64[ns]")
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: a date cannot be read: {error}") from None


def _prices(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if "adj_close" not in frame and "close" in frame:
        frame = frame.assign(adj_close=frame["close"])
    return _columns(frame, COLUMNS["prices"], path)


def _volatility(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    return _columns(frame, COLUMNS["volatility"], path)


def _value(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if frame.shape[1] != 2:
        raise InputError(f"{path}: expected a date and one value, found {', '.join(frame.columns)}")
    return frame.set_axis(["date", "value"], axis=1)


def _trends(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    term = SEARCH_TERM.replace(" ", "_")
    frame = _columns(frame, ("date", "week_end", term), path).rename(columns={term: "value"})
    return frame.assign(week_end=_dates(frame["week_end"], path))


_SHAPES = {"prices": _prices, "volatility": _volatility, "economic": _value, "sentiment": _value, "trends": _trends}


def _columns(frame: pd.DataFrame, columns: tuple[str, ...], path: Path) -> pd.DataFrame:
    if absent := [name for name in columns if name not in frame]:
        raise InputError(f"{path}: no column {', '.join(absent)} among {', '.join(frame.columns)}")
    return frame[list(columns)]
