"""What 1,000 experiments cost on a cluster besides their own work: python -m tests.bench.cluster [experiments] [rows]

Tasks that sleep 0.1 s on 50 threads, through `work_off` and the executor that `--on` opens. Then collecting the last of
`rows` experiments, in a process that has collected the others, as a phase has, and all of them in a new one. Then what
a node and a head ask of git for the last of so many, and of ten times as many. Origin is a bare clone on this machine.
Experiments are commits of this tree, each with a seed of its own and so a row of its own in the ledger; that they are
collected, with their training's log, takes a `dvc repro` of this commit. Nothing is trained. Times in seconds.
"""

import hashlib
import os
import re
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
from tests.bench.queue import command, seconds

THREADS, SLEEP = 50, 0.1
RESULT = "metrics/experiment.json"
# Where an experiment's seed stands, and its pattern there.
SEEDS = {
    "params.yaml": r"(?m)^(seed: )0",
    "dvc.lock": r"(?m)^( {8}seed: )0$",
    RESULT: r'("seed": )0',
}
_FIRST_SEED = 1_000_000  # of no run that the ledger has
_SECOND = 1_800_000_000  # when they were finished


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


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def finish(kind: str, numbers: range, texts: dict[str, str], baseline: str) -> list[str]:
    """More finished experiments, of this tree with other seeds; their references, as DVC names them."""
    references, stream = [], []
    for number in numbers:
        new = {path: re.sub(SEEDS[path], rf"\g<1>{_FIRST_SEED + number}", text) for path, text in texts.items()}
        for path in new if "dvc.lock" in new else ():  # it has the digests of what was read and written
            new["dvc.lock"] = new["dvc.lock"].replace(_md5(texts[path]), _md5(new[path]))
        references.append(f"refs/exps/{baseline[:2]}/{baseline[2:]}/{kind}-{number}")
        stream.append(f"commit {references[-1]}\ncommitter bench <> {_SECOND} +0000\ndata 0\n\nfrom {baseline}\n")
        for path in texts:
            stream.append(f"M 100644 inline {path}\ndata {len(new[path].encode())}\n{new[path]}\n")
    git_bytes("fast-import", "--quiet", told="".join(stream).encode())
    return references


def references_cost(counts: list[int], texts: dict[str, str], baseline: str) -> list[list[object]]:
    """For so many experiments at origin: what one more costs a node and the head, before and after pack-refs."""
    rows: list[list[object]] = []
    done = 0
    for count in counts:
        finish("pushed", range(done, count), texts, baseline)
        git("push", "-q", "origin", f"refs/exps/{baseline[:2]}/{baseline[2:]}/pushed-*")
        done = count + 2
        for number, packed in ((count, False), (count + 1, True)):
            if packed:
                for place in (Path.cwd(), Path(git("remote", "get-url", "origin"))):
                    git("-C", str(place), "pack-refs", "--all")
            [reference] = finish("pushed", range(number, number + 1), texts, baseline)
            rows.append([count, "packed" if packed else "loose", *_costs(reference)])
    return rows


def _costs(reference: str) -> list[float]:
    """ls-remote and push of one experiment at a node; fetch of it at the head."""
    asked = seconds(lambda: git("ls-remote", "origin", reference))
    pushed = seconds(lambda: git("push", "-q", "origin", f"{reference}:{reference}"))
    git("update-ref", "-d", reference)
    return [asked, pushed, seconds(lambda: git("fetch", "-q", "origin", f"+{reference}:{reference}"))]


def ledger_cost(counts: list[int], texts: dict[str, str], baseline: str) -> list[list[float]]:
    """For so many experiments in the ledger: collecting one more, and collecting all in a new process."""
    rows, done = [], 0
    for count in counts:
        finish("collected", range(done, count - 1), texts, baseline)
        collect(quiet=True)
        [reference] = finish("collected", range(count - 1, count), texts, baseline)
        before = len(LEDGER.read_text().splitlines())
        last = seconds(lambda: collect(quiet=True))
        if len(LEDGER.read_text().splitlines()) != before + 1:
            why = next(one.left_out for one in finished() if one.name == reference.rpartition("/")[2])
            raise SystemExit(f"the experiment was not collected: {why}; run `dvc repro` and commit, then again")
        rows.append([count, last, seconds(lambda: command(sys.executable, "-m", "study.collect"))])
        done = count
    return rows


def main(experiments: int = 1000, collected: int = 100) -> None:
    cache = Path(".dvc/cache").resolve()
    with tempfile.TemporaryDirectory() as folder:
        origin, head = Path(folder) / "origin.git", Path(folder) / "head"
        command("git", "clone", "-q", "--bare", str(Path.cwd()), str(origin))
        command("git", "clone", "-q", str(origin), str(head))
        os.chdir(head)
        Path(".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
        each = through_the_scheduler(experiments)
        print(f"scheduler: {1000 * each:.1f} ms an experiment beyond its work, {experiments} on {THREADS} threads\n")
        baseline = git("rev-parse", "HEAD")
        texts = {path: git_bytes("show", f"{baseline}:{path}").decode() for path in SEEDS}
        rows = ledger_cost(sorted({2, max(2, collected // 4), max(2, collected)}), texts, baseline)
        print(_table(rows, ["in the ledger", "the last", "all, by a new head"]), flush=True)
        costs = references_cost([1, experiments, 10 * experiments], {"params.yaml": texts["params.yaml"]}, baseline)
        print(_table(costs, ["at origin", "references", "node: is it there", "node: push", "head: fetch"]))


def _table(rows: list, names: list[str]) -> str:
    return tabulate(rows, names, floatfmt=".2f", tablefmt="github") + "\n"


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
