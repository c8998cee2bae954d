"""article: docs/article.md.in and the results as they are tracked -> docs/article.md

Reads  docs/article.md.in                             the text, with {{names}} where a result belongs
       results/ledger.csv, results/settings.json, results/daily/    runs, and their losses per day
       reports/scaling.json, reports/data_laws.json   fits and verdicts of all curves, and of size by data
       results/noiseless.csv, results/recipe.csv, results/recipe/   controls, and the choice of the recipe
Writes docs/article.md
Why    a number that was typed stays when the result moves. Here no result is typed: a name that does not exist is an
       error, and a test compares the page with what this command makes of today's ledger.

    python -m study.article
    python -m study.article --names     every name with its value, for who writes
"""

import argparse
import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from finscale.cli import run
from finscale.errors import InputError
from finscale.storage import read_text, write_text
from study.article_values import all_values

SOURCE = Path("docs/article.md.in")
PAGE = Path("docs/article.md")
_NAME = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def filled(text: str, values: Mapping[str, str], source: Path = SOURCE) -> str:
    """The text with its values. Raises InputError naming the line and the names most like one without a value."""
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        for name in _NAME.findall(line):
            if name not in values:
                like = difflib.get_close_matches(name, values, n=3, cutoff=0.5)
                hint = f"; most like it: {', '.join(like)}" if like else ""
                raise InputError(
                    f"{source}, line {number}: no result is named {name!r}{hint}; "
                    "`python -m study.article --names` lists all"
                )
        lines.append(_NAME.sub(lambda found: values[found[1]], line))
    return "\n".join(lines)


def made() -> str:
    """The article as today's results make it."""
    return filled(read_text(SOURCE), all_values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", action="store_true", help="print every name with its value; nothing is written")
    if parser.parse_args().names:
        print("\n".join(f"{name}\t{value}" for name, value in all_values().items()))
        return
    write_text(PAGE, made())
    print(f"article: {PAGE}")


if __name__ == "__main__":
    run(main)
