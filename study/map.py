"""map: every room of the house and each module in it -> the first line of its docstring, on screen

Reads  stages/, finscale/, study/, or the folders that are named
Why    a reader finds a thing by what it is said to do, before a file is opened. Nothing is imported.

    python -m study.map
    python -m study.map finscale/data tests
"""

import argparse
import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

from finscale.cli import run
from finscale.errors import InputError

ROOMS = (Path("stages"), Path("finscale"), Path("study"))
WIDTH = 120
_ROOM = "__init__.py"


def first_line(path: Path) -> str:
    """Of a module's docstring; '' where it has none."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return told.partition("\n")[0]


def rooms(top: Path) -> Iterator[Path]:
    """A folder of modules and those below it, parents first. Raises InputError where it is none."""
    if not (top / _ROOM).is_file():
        raise InputError(f"{top}: no folder of modules (it has no {_ROOM}); there are {', '.join(map(str, ROOMS))}")
    yield from sorted(path.parent for path in top.rglob(_ROOM))


def lines(room: Path) -> Iterator[str]:
    """A room as the map shows it: its name and what it is, then its modules, alphabetically."""
    yield f"{room.as_posix()}/"
    yield from _wrapped("", first_line(room / _ROOM), 2)
    modules = {path.stem: first_line(path) for path in sorted(room.glob("*.py")) if path.name != _ROOM}
    column = max(map(len, modules), default=0)
    for name, told in modules.items():
        yield from _wrapped(name.ljust(column), told.removeprefix(f"{name}: "), 4)


def _wrapped(name: str, told: str, indent: int) -> list[str]:
    start = " " * indent + (f"{name}  " if name else "")
    return textwrap.wrap(told, WIDTH, initial_indent=start, subsequent_indent=" " * len(start)) or [start.rstrip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=ROOMS, help="default: stages, finscale, study")
    for top in parser.parse_args().folders:
        for room in rooms(top):
            print("\n".join(lines(room)), end="\n\n")


if __name__ == "__main__":
    run(main)
