"""directory: a user's own folder of files, as vendors and programs write them; layout.py says what lies where.

Which formats are read: files.py; which names of columns: spellings.py; how days and numbers may be written: cells.py.
Prices without an adjusted close count as adjusted already. Nothing is guessed: what is not understood is an error or
named as ignored.

    python -m finscale.sources.directory FOLDER    # what each file is taken for
"""

import argparse
import os
import sys
from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.errors import InputError
from finscale.sources.columns import Read, read_bars, read_interest, read_value
from finscale.sources.files import read_table
from finscale.sources.layout import FOLDERS, SUFFIXES, files_of, require, stem_of, symbol_of, tables_in
from finscale.sources.search_trends import TERM, join_exports
from finscale.sources.tables import COLUMNS, Wanted

_OPTIONAL = ("SOFR",)  # LIBOR's successor: without it the 3-month rate ends with LIBOR, and says so
_EXPORT = (
    f"export {TERM!r} at trends.google.com (United States, at most five years a file, sharing a year with the next) "
    "into that folder, or choose quality a to c"
)


def present(directory: str, series: list[Wanted]) -> list[Wanted]:
    """The wanted series that the folder has. Raises InputError, naming the folder, where it is none."""
    require(directory)
    return [one for one in series if one.name not in _OPTIONAL or files_of(directory, one)]


def has(directory: str, series: Wanted) -> bool:
    return bool(files_of(directory, series))


def fetch(directory: str, series: Wanted) -> tuple[pd.DataFrame, str, list[str]]:
    """One series with the columns of its kind, the name of its file inside the folder, and what a reader should know.

    Raises InputError naming the file, the row and the column of what cannot be read.
    """
    require(directory)
    files = files_of(directory, series)
    if not files or (len(files) > 1 and series.kind != "trends"):
        raise _not_one(directory, series, files)
    read = [read_series(path, series) for path in files]
    frame = join_exports([one.frame for one in read]) if series.kind == "trends" else read[0].frame
    names = [path.relative_to(directory).as_posix() for path in files]
    notes = [f"{name}: {note}" for name, one in zip(names, read, strict=True) for note in one.notes]
    return frame[list(COLUMNS[series.kind])], ", ".join(names), notes


def read_series(path: Path, series: Wanted) -> Read:
    table = read_table(path)
    if series.kind == "prices":
        return read_bars(table, series.name)
    if series.kind == "volatility":
        return read_bars(table, series.name, volume=False)
    return read_interest(table, TERM) if series.kind == "trends" else read_value(table, series.name)


def _not_one(directory: str, series: Wanted, files: list[Path]) -> InputError:
    folder = Path(directory) / FOLDERS[series.kind]
    if files:
        return InputError(
            f"{folder}: expected one file for {series.name}, found {', '.join(path.name for path in files)}; keep one"
        )
    if series.kind == "trends":
        return InputError(f"{folder}: no file with search interest; {_EXPORT}")
    there = ", ".join(path.name for path in tables_in(folder)[:10]) or "no file"
    return InputError(
        f"{folder}: expected one file for {series.name}, found none but {there}; name it {series.name}.csv "
        f"(or {', '.join(SUFFIXES[3:])})"
    )


def describe(directory: str) -> tuple[list[str], bool]:
    """What each file of the folder is taken for, in lines, and whether all can be read."""
    lines, whole = [], True
    for kind, name in {kind: name for kind, name in FOLDERS.items() if kind != "volatility"}.items():
        for path in tables_in(Path(directory) / name):
            symbol = symbol_of(stem_of(path))
            series = Wanted(symbol, "volatility" if symbol == "VIX" and kind == "prices" else kind)
            try:
                told = _described(path, series)
            except InputError as error:
                told, whole = [f"error: {error}"], False
            lines += [f"{name}/{path.name}", *(f"    {line}" for line in told)]
    return lines, whole


def _described(path: Path, series: Wanted) -> list[str]:
    read = read_series(path, series)
    first, last = read.frame["date"].min(), read.frame["date"].max()
    taken = ", ".join(f"{role} <- {name}" for role, name in read.taken.items())
    return [f"{read.layout}; {len(read.frame)} days, {first:%Y-%m-%d} to {last:%Y-%m-%d}", taken, *read.notes]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m finscale.sources.directory", description="what a folder's files are taken for"
    )
    parser.add_argument("folder", help="with ohlcv/, fred/, sentiment/, trends/")
    folder = os.path.expandvars(parser.parse_args().folder)
    require(folder)
    lines, whole = describe(folder)
    print("\n".join(lines) or f"{folder}: no file in ohlcv/, fred/, sentiment/ or trends/")
    if not whole or not lines:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
