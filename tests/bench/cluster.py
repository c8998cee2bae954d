"""What 1,000 experiments cost on a cluster besides their own work: python -m tests.bench.cluster [experiments]

Tasks that sleep 0.1 s on 50 threads, through `work_off` and the executor that `--on` opens; then what a node and a head
ask of git for the last of so many experiments, and collecting it: in a process that has collected before, as a phase
has, and in a new one. Origin is a bare clone on this machine. Experiments are commits of this tree, each with a seed
of its own and so with a row of its own in the ledger, as nodes push them; that DVC's cache has their training's log
takes a `dvc repro` of this commit. Nothing is trained. Times in seconds.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from study.cluster.dask_nodes import dask_executor
from study.cluster.head import packages
from study.cluster.node import AtNode
from study.collect import LEDGER, collect
from study.experiments import finished
from study.programs import git, git_bytes
from study.workers import Done, Run, work_off
from tests.bench.queue import seconds

THREADS, SLEEP = 50, 0.1
EXPERIMENTS = "refs/exps/*:refs/exps/*"
RESULT = "metrics/experiment.json"
# Where an experiment's seed stands, and its pattern there.
SEEDS = {
    "params.yaml": r"(?m)^(seed: )0",
    "dvc.lock": r"(?m)^( {8}seed: )0$",
    RESULT: r'("seed": )0',
}
_FIRST_SEED = 1_000_000  # of no run that the ledger has


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


def finish(number: int, texts: dict[str, str], baseline: str) -> str:
    """One more finished experiment, of this tree with another seed; its reference, as DVC names it."""
    git("read-tree", baseline)
    new = {path: re.sub(pattern, rf"\g<1>{_FIRST_SEED + number}", texts[path]) for path, pattern in SEEDS.items()}
    for path in ("params.yaml", RESULT):  # as DVC leaves it: its lock has the digests of what was read and written
        new["dvc.lock"] = new["dvc.lock"].replace(_md5(texts[path]), _md5(new[path]))
    for path, text in new.items():
        blob = git_bytes("hash-object", "-w", "--stdin", told=text.encode()).decode().strip()
        git("update-index", "--cacheinfo", f"100644,{blob},{path}")
    commit = git("commit-tree", git("write-tree"), "-p", baseline, "-m", f"experiment {number}")
    reference = f"refs/exps/{baseline[:2]}/{baseline[2:]}/bench-{number}"
    git("update-ref", reference, commit)
    return reference


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def through_git(counts: list[int]) -> list[list[float]]:
    """For so many experiments at origin and in the ledger: what one more costs a node and the head."""
    baseline, rows, done = git("rev-parse", "HEAD"), [], 0
    texts = {path: git_bytes("show", f"{baseline}:{path}").decode() for path in SEEDS}
    for count in counts:
        for number in range(done, count - 1):
            finish(number, texts, baseline)
        git("push", "-q", "origin", EXPERIMENTS)
        collect(quiet=True)
        rows.append([count, *_costs(finish(count - 1, texts, baseline)), _new_head()])
        done = count
    taken = seconds(lambda: git("pack-refs", "--all"))
    taken += seconds(lambda: git("-C", git("remote", "get-url", "origin"), "pack-refs", "--all"))
    print(f"pack-refs --all, here and at origin: {taken:.2f} s")
    return [*rows, [counts[-1] + 1, *_costs(finish(counts[-1], texts, baseline))]]


def _costs(reference: str) -> list[float]:
    """ls-remote and push of one experiment at a node; fetch and collect of it at the head."""
    asked = seconds(lambda: git("ls-remote", "origin", reference))
    pushed = seconds(lambda: git("push", "-q", "origin", f"{reference}:{reference}"))
    git("update-ref", "-d", reference)
    fetched = seconds(lambda: git("fetch", "-q", "origin", f"+{reference}:{reference}"))
    before = len(LEDGER.read_text().splitlines())
    collected = seconds(lambda: collect(quiet=True))
    if len(LEDGER.read_text().splitlines()) != before + 1:
        why = next(one.left_out for one in finished() if one.name == reference.rpartition("/")[2])
        raise SystemExit(f"the experiment was not collected: {why}; run `dvc repro` and commit, then again")
    return [asked, pushed, fetched, collected]


def _new_head() -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-m", "study.collect"], check=True, capture_output=True))


def main(experiments: int = 1000) -> None:
    cache = Path(".dvc/cache").resolve()
    with tempfile.TemporaryDirectory() as folder:
        origin, head = Path(folder) / "origin.git", Path(folder) / "head"
        subprocess.run(["git", "clone", "-q", "--bare", str(Path.cwd()), str(origin)], check=True)
        subprocess.run(["git", "clone", "-q", str(origin), str(head)], check=True)
        os.chdir(head)
        Path(".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
        each = through_the_scheduler(experiments)
        print(f"scheduler: {1000 * each:.1f} ms an experiment beyond its work, {experiments} on {THREADS} threads\n")
        rows = through_git(sorted({2, max(2, experiments // 4), max(2, experiments)}))
    names = ["experiments", "node: is it there", "node: push", "head: fetch", "head: collect", "a new head: collect"]
    print(tabulate(rows, names, floatfmt=".2f", tablefmt="github"), "\nThe last line: after `git pack-refs --all`.")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
