"""Both ends of a run elsewhere: python -m study.elsewhere pack RUN.yaml ... -o DIR | take DIR [--jobs N]"""

import argparse
from pathlib import Path

from finscale.cli import run
from study.elsewhere.pack import pack
from study.elsewhere.take import take


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m study.elsewhere", description="Train on another machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack", help="prepared rows, code and runs into a folder that travels")
    packing.add_argument("lists", nargs="+", type=Path, metavar="RUN.yaml", help="what to run")
    packing.add_argument("-o", dest="folder", type=Path, required=True, metavar="DIR", help="a new folder")
    taking = verbs.add_parser("take", help="finished runs become experiments here")
    taking.add_argument("folder", type=Path, metavar="DIR", help="the folder that came back")
    taking.add_argument("--jobs", type=int, default=2, help="results side by side")
    asked = parser.parse_args()
    if asked.verb == "pack":
        names = pack(asked.lists, asked.folder)
        print(f"pack: {len(names)} runs in {asked.folder}; there: `python run.py`, then `take` the folder here")
    else:
        if asked.jobs < 1:
            parser.error(f"--jobs {asked.jobs}: at least 1")
        print(f"take: {take(asked.folder, asked.jobs)}; `make collect` puts what is recorded into the ledger")


if __name__ == "__main__":
    run(main)
