"""What 1,000 experiments cost on a cluster besides their own work: python -m tests.bench.cluster [experiments]

Tasks that sleep 0.1 s on 50 threads, through `work_off` and the executor that `--on` opens; then what a node and a head
ask of git for the last of so many experiments, and collecting it. Origin is a bare clone on this machine; experiments
are commits of this tree with a row of their own, as nodes push them. Nothing is trained. Times in seconds.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from study.cluster.dask_nodes import dask_executor
from study.cluster.head import git, packages
from study.cluster.node import AtNode
from study.collect import collect
from study.workers import Done, Run, work_off
from tests.bench.queue import finish, seconds

THREADS, SLEEP = 50, 0.1
EXPERIMENTS = "refs/exps/*:refs/exps/*"


def sleep(name: str, command: list[str], environment: dict[str, str]) -> Done:
    time.sleep(SLEEP)
    return {"ok": True, "log": ""}


def through_the_scheduler(count: int) -> float:
    """Seconds of wall time that a task takes beyond its sleep, on average."""
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=THREADS, processes=False, protocol="tcp", dashboard_address=None
        ) as cluster,
        dask_executor(cluster.scheduler_address, {},
                      AtNode("", "", ("", ""), packages())) as executor,
    ):  # fmt: skip
        taken = seconds(lambda: work_off([Run(f"r{n}", {}) for n in range(count)], executor, lambda _: None, sleep))
    return taken / count - SLEEP / THREADS


def through_git(counts: list[int]) -> list[list[float]]:
    """For so many experiments at origin: what the last one costs a node and the head."""
    rows, done = [], 0
    for count in counts:
        for number in range(done, count):
            finish(number)
        git("push", "-q", "origin", EXPERIMENTS)
        collect(quiet=True)
        rows.append([count, *_costs(count)])
        done = count + 1
    git("pack-refs", "--all")
    git("-C", git("remote", "get-url", "origin"), "pack-refs", "--all")
    return [*rows, [counts[-1], *_costs(counts[-1] + 1)]]


def _costs(number: int) -> list[float]:
    """ls-remote and push of one experiment at a node, fetch and collect of it at the head."""
    finish(number)
    [reference] = git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/bench-{number}").splitlines()
    asked = seconds(lambda: git("ls-remote", "origin", reference))
    pushed = seconds(lambda: git("push", "-q", "origin", f"{reference}:{reference}"))
    git("update-ref", "-d", reference)
    fetched = seconds(lambda: git("fetch", "-q", "origin", f"+{reference}:{reference}"))
    return [asked, pushed, fetched, seconds(lambda: collect(quiet=True))]


def main(experiments: int = 1000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        origin, head = Path(folder) / "origin.git", Path(folder) / "head"
        subprocess.run(["git", "clone", "-q", "--bare", str(Path.cwd()), str(origin)], check=True)
        subprocess.run(["git", "clone", "-q", str(origin), str(head)], check=True)
        os.chdir(head)
        each = through_the_scheduler(experiments)
        print(f"scheduler: {1000 * each:.1f} ms an experiment beyond its work, {experiments} on {THREADS} threads\n")
        rows = through_git(sorted({1, experiments // 4, experiments}))
    names = ["experiments", "node: is it there", "node: push", "head: fetch", "head: collect"]
    print(tabulate(rows, names, floatfmt=".2f", tablefmt="github"), "\nThe last line: after `git pack-refs --all`.")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
