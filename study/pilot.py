"""pilot: a ladder of budgets and seeds through DVC's queue -> ledger and scaling curve

Reads  params.yaml (all axes but budget and seed), results/ledger.csv
Writes results/ledger.csv, and through the stages scaling and report the curve and the report
Why    the smallest study that shows a curve. What the ledger or the queue already holds is not run again.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path

from dvc.repo import Repo

from finscale.cli import run
from finscale.errors import InputError
from finscale.imports import read_sources
from finscale.scaling.ledger import read_ledger
from study.collect import LEDGER, collect
from study.experiments import code_hash, data_hash, planned_keys, read_workspace

BUDGETS = ("10K", "30K", "100K", "300K", "1M")
SEEDS = (0, 1, 2)
QUEUE_LOG = Path(".dvc/tmp/pilot-queue.log")

RESULT = "evaluate"  # what comes after it draws, and is drawn once at the end
_POLL_SECONDS = 5
_IDLE_SECONDS = 60  # a worker that starts nothing for so long has lost its message: start another
_WAITING = ("Queued", "Running")


def missing(budgets: tuple[str, ...], seeds: tuple[int, ...]) -> list[tuple[str, str, int]]:
    """(name, budget, seed) of the runs that the ledger lacks, largest first so that the last one is short."""
    known = set(read_ledger(LEDGER)["key"])
    code, data = code_hash(read_sources()), [data_hash(read_workspace("dvc.lock"))]
    planned = {
        planned_keys({"budget": budget, "seed": seed}, code, data)[0]: (budget, seed)
        for budget, seed in product(budgets, seeds)
    }
    wanted = [(f"pilot-{budget}-s{seed}-{key[:6]}", budget, seed) for key, (budget, seed) in planned.items()]
    return [run for run, key in zip(reversed(wanted), reversed(planned), strict=True) if key not in known]


def queue(runs: list[tuple[str, str, int]]) -> None:
    """Queue each run under its own name; one that waits there already is left alone."""
    waiting = {entry["name"] for entry in _status() if entry["status"] in _WAITING}
    for name, budget, seed in runs:
        if name not in waiting:
            _dvc("exp", "run", "--queue", "--force", "--name", name, "-S", f"budget={budget}", "-S", f"seed={seed}",
                 RESULT)  # fmt: skip


def work_off(jobs: int) -> None:
    """Start workers and wait until nothing waits or runs. Raises InputError where a run failed."""
    names = {entry["name"] for entry in _status() if entry["status"] in _WAITING}
    shown, moved = Counter[str](), time.monotonic()
    _start(jobs)
    while True:
        entries = [entry for entry in _status() if entry["name"] in names]
        counts = Counter(entry["status"] for entry in entries)
        if counts != shown:
            shown, moved = counts, time.monotonic()
            print(
                "pilot: " + ", ".join(f"{count} {state.lower()}" for state, count in sorted(counts.items())), flush=True
            )
        if not any(counts[state] for state in _WAITING):
            break
        if not counts["Running"] and time.monotonic() - moved > _IDLE_SECONDS:
            moved = time.monotonic()
            _start(jobs)
        time.sleep(_POLL_SECONDS)
    if failed := [entry["name"] for entry in entries if entry["status"] == "Failed"]:
        raise InputError(f"{len(failed)} runs failed; `dvc queue logs {failed[0]}` says why; `make pilot` tries again")


def _status() -> list[dict[str, str]]:
    return list(Repo().experiments.celery_queue.status())


def _start(jobs: int) -> None:
    # Workers inherit stdout and would keep a pipe open for as long as they live: a file takes it.
    QUEUE_LOG.parent.mkdir(parents=True, exist_ok=True)
    with QUEUE_LOG.open("a") as log:
        subprocess.run(["dvc", "queue", "start", "-j", str(jobs)], stdout=log, stderr=log, check=True)


def _dvc(*arguments: str) -> None:
    done = subprocess.run(
        ["dvc", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise InputError(f"dvc {' '.join(arguments)} failed:\n{done.stderr.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="experiments side by side")
    parser.add_argument("--budgets", nargs="+", default=BUDGETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    asked = parser.parse_args()
    _dvc("repro")  # the base run: data and features once, and a dvc.lock that names the raw data
    collect()
    if runs := missing(tuple(asked.budgets), tuple(asked.seeds)):
        print(f"pilot: {len(runs)} of {len(asked.budgets) * len(asked.seeds)} runs to do, {asked.jobs} side by side")
        queue(runs)
        work_off(asked.jobs)
        collect()
    sys.exit(subprocess.run(["dvc", "repro", "report"], check=False).returncode)


if __name__ == "__main__":
    run(main)
