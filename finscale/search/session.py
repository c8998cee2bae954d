"""One start of a search on one machine: its processes, and what holds for all of them."""

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch

from finscale.config import Task, is_binary
from finscale.data.rows import shared_rows
from finscale.parent import stop_with_stage
from finscale.search.config import TuneConfig
from finscale.search.objective import Problem, create_objective
from finscale.search.space import SearchSpace
from finscale.search.study import completed, create_study, run_hpo, storage_url
from finscale.training.config import TrainConfig
from finscale.training.device import choose_compute
from finscale.training.interrupt import RunStoppedError, stop_on_signals
from finscale.training.resume import collect_orphans, run_key
from finscale.training.thermal import ThermalGuard, thermal_reader


@dataclass(frozen=True)
class Search:
    """All that a process needs to take part in a study."""

    tune: TuneConfig
    train: TrainConfig
    space: SearchSpace
    task: Task
    budget: int
    development: Path
    folder: Path  # <scratch>/search/<key>: the journal, locks, and states of unfinished trials
    name: str
    tracking: Path | None = None  # the local MLflow and W&B stores

    def study(self) -> optuna.Study:
        return create_study(self.name, self.folder, self.tune, storage_url(self.tune, dict(os.environ)))


def study_key(search_settings: dict, space: SearchSpace, files: dict[str, str]) -> str:
    """Hash of all that decides which trials are tried and what they are worth: settings, space, data and code."""
    space_told = [repr(parameter) for parameter in space.parameters]
    return run_key({"settings": search_settings, "space": space_told, "torch": torch.__version__}, files)


def search(job: Search) -> optuna.Study:
    """Run the search to the asked number of complete trials in `tune.workers` processes.

    Raises RunStoppedError where it was stopped before; then everything is saved. Studies that nobody has come back
    for in a month are removed.
    """
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    job.folder.with_suffix(".lock").touch()  # says when somebody last came back for this study
    collect_orphans(job.folder.parent, [job.folder.name])
    study = job.study()  # created once, before the processes meet in it
    if job.tune.workers == 1:
        take_part(job)
    else:
        _run_processes(job)
    return study


def take_part(job: Search) -> None:
    """Run trials in this process."""
    config = job.train
    compute = choose_compute(config.device, config.precision, config.threads)
    with shared_rows(job.development, job.folder.parent) as rows:
        problem = Problem(rows, config, job.budget, is_binary(job.task), job.tune.seeds, compute)
        objective = create_objective(job.space, problem, job.folder / "runs", job.tracking)
        if read := thermal_reader(config.thermal.sensor, compute.device):
            objective.guard = ThermalGuard(config.thermal, read)
        heartbeats = storage_url(job.tune, dict(os.environ)) is not None
        with stop_on_signals() as objective.stop:
            run_hpo(job.study(), objective, job.tune, job.folder, heartbeats)


def _run_processes(job: Search) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads half
    processes = [context.Process(target=_work, args=(job,)) for _ in range(job.tune.workers)]
    for process in processes:
        process.start()
    with stop_on_signals() as stop:
        told = False
        while any(process.is_alive() for process in processes):
            time.sleep(0.1)
            if stop and not told:  # a terminal has told them too; `kill` has told this process alone
                told = True
                for process in processes:
                    process.terminate()
    failed = [process.exitcode for process in processes if process.exitcode]
    done = len(completed(job.study()))
    if failed and done < job.tune.trials:
        raise RunStoppedError(
            f"tune: {len(failed)} of {len(processes)} processes ended early (exit {failed}), with {done} of "
            f"{job.tune.trials} trials complete; the study is saved, `dvc repro tune` goes on from there"
        )


def _work(job: Search) -> None:
    stop_with_stage("tune")
    try:
        take_part(job)
    except RunStoppedError as stopped:
        sys.exit(str(stopped))
