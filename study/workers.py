"""Experiments side by side through `dvc exp run --temp`: DVC keeps the record, this keeps the order.

For long grids it is sturdier than DVC's queue: nothing is stashed beforehand, a killed run leaves no broker
behind, and what the ledger holds is never started. Where they run is an executor's business (concurrent.futures): a
pool of threads here, or the nodes of a cluster (study.cluster).
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from tqdm import tqdm

from finscale.errors import InputError
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


class Done(TypedDict):
    """What became of a run: its log where it ran elsewhere, and then the reference under which origin has it."""

    ok: bool
    log: NotRequired[str]
    reference: NotRequired[str]
    node: NotRequired[str]


# Name, arguments of DVC and environment: plain values, which any executor can carry anywhere.
Task = Callable[[str, list[str], dict[str, str]], Done]


def run_here(name: str, command: list[str], its: dict[str, str]) -> Done:
    """Have DVC run a command in this repository; its: the environment of its stages, beside what there is.

    An earlier run of the same commit that has the name makes way: what the ledger holds of it stays.
    """
    commit = git("rev-parse", "HEAD")
    git("update-ref", "-d", f"refs/exps/{commit[:2]}/{commit[2:]}/{name}")
    with (LOGS / f"{name}.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            [*DVC, *command], env=environment(**its), stdout=log, stderr=subprocess.STDOUT, check=False
        )
    return {"ok": done.returncode == 0}


def work_off(
    runs: list[Run], executor: Executor, on_done: Callable[[Done], object], task: Task = run_here
) -> list[Run]:
    """Run all on an executor, in order; returns those that failed. on_done is called after each, one call at a time.

    task: what the executor is given. Whatever ends a run, its log lies in LOGS. Raises InputError where DVC cannot run.
    """
    if task is run_here:
        check_place(Path.cwd())
    LOGS.mkdir(parents=True, exist_ok=True)
    failed: list[Run] = []
    with tqdm(total=len(runs), unit="run", mininterval=1) as bar:
        done = {executor.submit(task, run.name, command_of(run), dict(run.environment)): run for run in runs}
        try:
            for future in as_completed(done):
                run, told = done[future], _told(future)
                if "log" in told:
                    (LOGS / f"{run.name}.log").write_text(told["log"], encoding="utf-8")
                if not told["ok"]:
                    failed.append(run)
                on_done(told)
                bar.update()
                bar.set_postfix(last=run.name, failed=len(failed))
        except KeyboardInterrupt:
            for future in done:
                future.cancel()  # those that run here have had the signal too: they save and stop
            raise
    return failed


def _told(future: Future[Done]) -> Done:
    """What became of a run; where no node could finish it, what the executor says."""
    try:
        return future.result()
    except CancelledError:
        return {"ok": False, "log": "error: the executor has given it up: its scheduler is gone"}
    except InputError as error:
        return {"ok": False, "log": f"error: {error}"}
    except Exception as error:  # whatever an executor says, such as dask's KilledWorker: it is the run's log
        return {"ok": False, "log": f"error: {type(error).__name__}: {error}"}


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


def command_of(run: Run) -> list[str]:
    """What DVC is asked for a run: its arguments."""
    settings = [word for key, value in run.settings.items() for word in ("-S", f"{key}={as_override(value)}")]
    forced = ["--force"] if run.forced else []
    return ["exp", "run", "--temp", *forced, "--name", run.name, *settings, run.last]
