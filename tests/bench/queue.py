"""What 200 experiments cost besides their own work: python -m tests.bench.queue [experiments]

DVC's queue: queuing one more when so many wait, and listing them. Our workers (study/workers.py): which runs the ledger
lacks, and collecting after each run. In a clone of this commit in a temporary folder; nothing is trained. The finished
experiments that `collect` reads are commits of this tree under refs/exps, as DVC leaves them. Times in seconds.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

from finscale.scaling.phases import Row
from study import experiments
from study.collect import collect
from study.phase import missing

_AXES = ("source", "assets", "quality", "timescale", "tier", "task", "horizon", "budget")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def queue(first: int, last: int) -> None:
    """Queue seeds first to last in one call, as a grid does."""
    command("dvc", "exp", "run", "--queue", "-S", f"seed=range({first},{last + 1})")


def dvc_queue(counts: list[int]) -> list[list[float]]:
    rows, waiting = [], 0
    for count in counts:
        grid = count - 1 - waiting
        taken = seconds(lambda: queue(waiting + 1, count - 1)) if grid > 0 else float("nan")  # noqa: B023
        one = seconds(lambda: queue(count, count))  # noqa: B023
        listing = seconds(lambda: command("dvc", "queue", "status"))
        rows.append([count, one, taken / grid if grid > 0 else taken, listing])
        waiting = count
    return rows


def finish(number: int) -> None:
    """One more finished experiment, of this tree."""
    commit = command("git", "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", f"experiment {number}")
    place = hashlib.sha1(str(number).encode()).hexdigest()
    command("git", "update-ref", f"refs/exps/{place[:2]}/{place[2:]}/bench-{number}", commit)


def workers(counts: list[int]) -> list[list[float]]:
    params = experiments.yaml.safe_load(Path("params.yaml").read_text())
    axes = {axis: params[axis] for axis in _AXES}
    rows, done = [], 0
    for count in counts:
        for number in range(done, count - 1):
            finish(number)
        collect(quiet=True)
        finish(count - 1)
        done = count
        wanted = [Row("bench", axes | {"seed": seed}) for seed in range(count)]
        rows.append([count, seconds(lambda: missing(wanted, {})), seconds(lambda: collect(quiet=True))])  # noqa: B023
    return rows


def main(experiments_wanted: int = 200) -> None:
    counts = sorted({1, *(max(1, experiments_wanted * part // 4) for part in (1, 2, 4))})
    with tempfile.TemporaryDirectory() as folder:
        command("git", "clone", "--quiet", str(Path.cwd()), folder)
        os.chdir(folder)
        ours = workers(counts)
        print("Our workers", tabulate(ours, ["experiments", "what is missing", "collecting the last"], floatfmt=".2f",
                                      tablefmt="github"), sep="\n\n", flush=True)  # fmt: skip
        names = ["in the queue", "queuing the last", "each, as a grid", "listing all"]
        print("\nDVC's queue", tabulate(dvc_queue(counts), names, floatfmt=".2f", tablefmt="github"), sep="\n\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
