"""The campaign: `python -m tests.faults [--only PART,PART]` -> results/faults.csv, docs/faults.md."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.faults.damage import damage
from tests.faults.disks import disks
from tests.faults.kills import kills
from tests.faults.providers import providers
from tests.faults.signals import signals
from tests.faults.trial import Trial, prepared, write_table

PARTS = ("kill", "signal", "disk", "damage", "provider")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument(
        "--match", help="of the other parts, faults with this word alone; then the rows of the others stay"
    )
    parser.add_argument("--workspace", type=Path, help="where the small workspace lies, or is to be made and kept")
    asked = parser.parse_args()
    # A shell that starts this in the background has SIGINT ignored, by it and by all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # nothing stays mounted or running
    chosen = asked.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as made:
        folder = (asked.workspace or Path(made)).resolve()
        lost = 0
        for part in chosen:
            trials = _run(part, folder, asked)
            lost += sum(not trial.survived for trial in trials)
            print(f"faults: {part}: {len(trials)} tried, {sum(not one.survived for one in trials)} lost", flush=True)
            write_table(part, trials, folder, whole=not asked.match)
    sys.exit(bool(lost))


def _run(part: str, folder: Path, asked: argparse.Namespace) -> list[Trial]:
    made: dict[str, Callable[[], list[Trial]]] = {
        "kill": lambda: kills(prepared(folder), asked.kills, asked.seed),
        "signal": lambda: signals(prepared(folder), asked.match),
        "disk": lambda: disks(prepared(folder), asked.match),
        "damage": lambda: damage(prepared(folder), asked.match),
        "provider": lambda: providers(asked.match),
    }
    return made[part]()


if __name__ == "__main__":
    main()
