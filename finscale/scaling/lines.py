"""Tables of results that are text and grow by lines: each line is read alone, and one that is no row is named.

A merge leaves markers, a full disk half a line. What stands around it counts where a table is read, and a table with
such a line is not written to before it is mended.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finscale.errors import InputError
from finscale.storage import read_text

MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
MERGE = "a merge left it: keep the rows of both sides, delete the lines that begin with <<<<<<<, ======= or >>>>>>>"
CUT = "the line was cut or is none of this file's; `git checkout` has it whole"


@dataclass(frozen=True)
class Lines:
    """rows: each line's values by column, as text. faults: the lines that are no rows, each with where and why."""

    rows: list[dict[str, str]]
    faults: list[str]


def split_lines(text: str) -> Iterator[tuple[int, list[str], bool]]:
    """(number, values, whether the line has its end) of each line, which every writer here gives to the last as well.

    Each is read alone: a quotation mark in one that was cut would swallow those after it.
    """
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        said = line.rstrip("\r\n")
        yield number, next(csv.reader([said]), []), line != said


def check_line(
    values: Sequence[str], columns: Sequence[str], ended: bool, empty: str = "the line is empty; delete it"
) -> None:
    """Raise ValueError where a line is no row of a table with these columns."""
    if not values:
        raise ValueError(empty)
    if values[0].startswith(MARKERS):
        raise ValueError(MERGE)
    if len(values) != len(columns):
        raise ValueError(f"{len(values)} values for {len(columns)} columns: {CUT}")
    if not ended:
        raise ValueError(f"the line has no end, so that its last value may be a part: {CUT}")


def read_lines(path: Path, columns: Sequence[str], check: Callable[[Mapping[str, str]], None]) -> Lines:
    """A table of these columns, of which older files may lack some; empty where there is no file.

    check: raises ValueError for a row that is none. Raises InputError where the file is no such table.
    """
    rows: list[dict[str, str]] = []
    faults: list[str] = []
    lines = list(split_lines(read_text(path))) if path.exists() else []
    header = next((values for _, values, _ in lines if values and not values[0].startswith(MARKERS)), [])
    if path.exists() and not (header and set(header) <= set(columns)):
        raise InputError(f"{path}: its first line is no list of {', '.join(columns)}; `git checkout {path}`")
    for number, values, ended in lines:
        if values == header and ended:
            continue
        try:
            check_line(values, header, ended)
            row = dict.fromkeys(columns, "") | dict(zip(header, values, strict=True))
            check(row)
            rows.append(row)
        except ValueError as error:
            faults.append(f"{path}, line {number}: {error}")
    return Lines(rows, faults)


def read_to_extend(path: Path, columns: Sequence[str], check: Callable[[Mapping[str, str]], None]) -> Lines:
    """As read_lines, for who writes the table anew. Raises InputError where a line would be lost by that."""
    lines = read_lines(path, columns, check)
    if lines.faults:
        raise InputError("\n".join([*lines.faults, f"mend {path}, then try again: nothing was written"]))
    return lines
