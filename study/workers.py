"""Experiments side by side through `dvc exp run --temp`: DVC keeps the record, this keeps the order.

For long grids it is sturdier than DVC's queue: nothing is stashed beforehand, a killed run leaves no broker
behind, and what the ledger holds is never started.
"""

import re
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from study.programs import DVC, check_place, environment, git, reason_of

LOGS = Path(".dvc/tmp/study")
_PLAIN = re.compile(r"[\w$./:@%+-]+")  # text that stands for itself
_BACKSLASHES = re.compile(r"(\\*)('|\Z)")  # as many as stand before a quote are to be doubled


@dataclass(frozen=True)
class Run:
    """One experiment to do: a name that is unique to its settings, and what differs from params.yaml."""

    name: str
    settings: Mapping[str, Any]
    last: str = "evaluate"  # the stage to run up to: what comes after `evaluate` draws, and is drawn once at the end
    environment: Mapping[str, str] = field(default_factory=dict)  # for its stages, beside what there is
    forced: bool = False  # every stage runs, whatever DVC's run cache holds of the same settings and inputs


def work_off(runs: list[Run], jobs: int, on_done: Callable[[], object]) -> list[Run]:
    """Run all, `jobs` at a time; returns those that failed. on_done is called after each, one call at a time."""
    check_place(Path.cwd())
    LOGS.mkdir(parents=True, exist_ok=True)
    failed: list[Run] = []
    lock = threading.Lock()
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(runs), unit="run", mininterval=1) as bar:
        done = {pool.submit(_run, run): run for run in runs}
        try:
            for future in as_completed(done):
                with lock:
                    if not future.result():
                        failed.append(done[future])
                    on_done()
                bar.update()
                bar.set_postfix(last=done[future].name, failed=len(failed))
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)  # the children have had the signal too: they save and stop
            raise
    return failed


def reason(run: Run) -> str:
    """Why a run failed, by what its log says last."""
    return reason_of((LOGS / f"{run.name}.log").read_text(encoding="utf-8", errors="replace").splitlines())


def reasons(failed: list[Run]) -> str:
    """Each reason once, with the runs that it stopped."""
    by_reason: dict[str, list[str]] = {}
    for run in failed:
        by_reason.setdefault(reason(run), []).append(run.name)
    return "\n".join(f"  {reason}\n    {', '.join(names)}" for reason, names in by_reason.items())


def as_override(value: Any) -> str:
    """A value as `-S key=value` takes it: in Hydra's grammar `a,b` are two experiments, and None is text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(as_override, value))}]"
    if not isinstance(value, str) or _PLAIN.fullmatch(value):
        return str(value)
    return "'" + _BACKSLASHES.sub(lambda found: 2 * found[1] + (found[2] and "\\'"), value) + "'"


def _run(run: Run) -> bool:
    """An earlier run of the same commit that has the name makes way: what the ledger holds of it stays."""
    settings = [word for key, value in run.settings.items() for word in ("-S", f"{key}={as_override(value)}")]
    forced = ["--force"] if run.forced else []
    commit = git("rev-parse", "HEAD")
    git("update-ref", "-d", f"refs/exps/{commit[:2]}/{commit[2:]}/{run.name}")
    command = [*DVC, "exp", "run", "--temp", *forced, "--name", run.name, *settings, run.last]
    with (LOGS / f"{run.name}.log").open("w", encoding="utf-8") as log:
        its = environment(**run.environment)
        done = subprocess.run(command, env=its, stdout=log, stderr=subprocess.STDOUT, check=False)
        return done.returncode == 0
