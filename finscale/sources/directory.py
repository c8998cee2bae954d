"""python -m finscale.sources.directory FOLDER: what each file of a user's folder is taken for.

Per file: its format, its days, which column is taken for what, what is ignored; or the one error that stops a run.
Exit status 1 where a file cannot be read.
"""

import argparse
import os
import sys
from pathlib import Path

from finscale.cli import run
from finscale.errors import InputError
from finscale.sources.files import stem_of
from finscale.sources.folder import FOLDERS, read_series, require, symbol_of, tables_in
from finscale.sources.tables import Wanted


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
