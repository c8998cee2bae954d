"""Puts a device's bench into docs/gpu.md, in place of the same device's: `python -m tests.gpu.table gpu-results`."""

import argparse
import json
import sys
from pathlib import Path

from tests.bench.device import markdown

DOCS = Path("docs/gpu.md")


def with_section(page: str, device: str, table: str) -> str:
    """The page with `## Measured: <device>` and the table as its last section, or in place of that section."""
    heading = f"## Measured: {device}\n"
    before, found, after = page.partition(heading)
    following = after.find("\n## ")
    rest = after[following + 1 :] if found and following >= 0 else ""
    return f"{before.rstrip()}\n\n{heading}{table.rstrip()}\n" + (f"\n{rest}" if rest else "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.table", description=__doc__)
    parser.add_argument("results", type=Path, help="the folder that tests.gpu.run wrote")
    path = parser.parse_args().results / "bench/bench.json"
    if not path.is_file():
        sys.exit(f"gpu: {path}: no such file; `python -m tests.gpu.run FOLDER` makes it")
    result = json.loads(path.read_text())
    DOCS.write_text(with_section(DOCS.read_text(), result["machine"]["device"], markdown(result)))


if __name__ == "__main__":
    main()
