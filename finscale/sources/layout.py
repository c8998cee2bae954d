"""What lies where in a user's folder (source `directory`):

    <directory>/ohlcv/SPY.csv        daily bars: date, open, high, low, close, volume [, adj_close]
    <directory>/ohlcv/VIX.csv        daily bars, no volume needed
    <directory>/fred/DGS10.csv       date and value
    <directory>/sentiment/<any>.csv  date and value
    <directory>/trends/<any>.csv     Google Trends' own weekly exports (directory.py has the term), or one table

A file is named by its symbol, in any spelling (SPY.csv, spy.us.txt, ^VIX.csv, BRK.B.csv.gz). No table is held here:
whoever only asks which files there are loads no pandas.
"""

import os
from pathlib import Path

from finscale.assets import ticker_of
from finscale.errors import InputError
from finscale.sources.tables import Kind, Wanted

FOLDERS: dict[Kind, str] = {
    "prices": "ohlcv", "volatility": "ohlcv", "economic": "fred", "sentiment": "sentiment", "trends": "trends",
}  # fmt: skip
SUFFIXES = (".csv", ".txt", ".tsv", ".csv.gz", ".txt.gz", ".parquet", ".xlsx")


def files_of(directory: str, series: Wanted) -> list[Path]:
    """The files that may hold a series, by name; none where there is no such folder. Of search trends all are read, of
    any other series one is right and more are ambiguous."""
    files = tables_in(Path(directory) / FOLDERS[series.kind])
    if series.kind in ("sentiment", "trends"):
        return files
    return [path for path in files if symbol_of(stem_of(path)) == symbol_of(series.name)]


def tables_in(folder: Path) -> list[Path]:
    """Every file of a folder that may hold a table, by name."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(Path(one.path) for one in entries if one.name.lower().endswith(SUFFIXES) and one.is_file())


def require(directory: str) -> None:
    """Raise InputError where there is no such folder."""
    if not Path(directory).is_dir():
        hint = "; set FINSCALE_DATA to your folder" if directory.startswith("$") else ""
        raise InputError(f"params.yaml: data.directory = {directory}: no such folder{hint}")


def prices_folder(directory: str) -> Path:
    return Path(directory) / FOLDERS["prices"]


def symbols_in(directory: str) -> tuple[str, ...]:
    """Every symbol that has a file of prices, in order; VIX, a feature, is none."""
    return tuple(sorted({symbol_of(stem_of(path)) for path in tables_in(prices_folder(directory))} - {"VIX"}))


def stem_of(path: Path) -> str:
    """'SPY.us.csv.gz' -> 'SPY.us'."""
    name = path.name.lower()
    suffix = max((one for one in SUFFIXES if name.endswith(one)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)]


def symbol_of(name: str) -> str:
    """One spelling for a symbol, whoever wrote the name: '^VIX' -> 'VIX', 'brk.b.us' -> 'BRK-B'."""
    return ticker_of(name).lstrip("^")
