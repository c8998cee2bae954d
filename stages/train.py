"""train: development rows -> models/model.{safetensors,json}

Reads  data/processed/development.parquet  train and validation rows; the test split is out of reach
       data/processed/development_folds/, data/processed/folds.csv  the same of the folds after the first
       models/tune/                        the search's best settings and shape, where `train.from_tune` is true
Writes models/model.safetensors  the best epoch's weights
       models/model.json         shape, counts, features, and what the run did
       models/model_folds/       both of each fold after the first
       dvclive/                  settings, loss curves and learning rate per epoch, best checkpoint, sample predictions;
                                 dvclive/folds/ those of later folds
       models/runtime.json       seconds, speed, device use and machine: the one output that differs between repeats
Why    one seeded run per fold whose size is counted, never labelled. Interrupted, it goes on where it stopped: states
       lie outside the workspace under each fold's key (finscale.training.resume) until all folds are trained. With
       FINSCALE_PROCESSES=4 four processes share each model (finscale.training.launch).
"""

import os
import platform
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import torch

from finscale.cli import run
from finscale.config import Axes, check_unchanged, format_budget, load_params
from finscale.data.folds import StoredFold, read_folds, remove_others
from finscale.imports import import_closure, read_sources
from finscale.search.tuned import Tuned, load_tuned
from finscale.storage import md5_of, read_json, write_json
from finscale.training import sharding
from finscale.training.config import RunSettings
from finscale.training.device import choose_compute
from finscale.training.elsewhere import result_to_take, take_files, take_model
from finscale.training.launch import processes_asked, run_in_processes
from finscale.training.resume import SavedRun, collect_orphans, run_key
from finscale.training.run import NO_RESULT, Files, Run, Trained, train
from finscale.training.scratch import scratch_folder
from stages.paths import DEVELOPMENT, FOLDS, LOG, MODEL, TUNED, WEIGHTS

RUNTIME = Path("models/runtime.json")


# Axes that made the rows: they are told in the log, and a run's key has the rows' hash.
IN_DATA = ("source", "assets", "symbols", "history", "quality", "timescale", "tier", "horizon")


class Params(Axes, RunSettings):
    """The settings of a run, and the axes that its log tells."""


def apply_tuned(params: Params) -> tuple[Params, Tuned | None]:
    """Settings with what the search found in them, where that is asked for."""
    if not params.train.from_tune:
        return params, None
    tuned = load_tuned(TUNED, params.train, params.task, params.budget, md5_of(DEVELOPMENT))
    print("train: settings and shape of trial {trial} of study {study}, loss {value:.6g}".format(**tuned.source))
    return params.model_copy(update={"train": tuned.config}), tuned


def key_of(params: Params, tuned: Tuned | None, development: Path) -> str:
    """The key of a fold's run: hash of all that decides its result."""
    settings = params.model_dump(exclude={"train": NO_RESULT} | dict.fromkeys(IN_DATA, True))
    if tuned:
        settings["shape"] = asdict(tuned.shape)
    code = import_closure("stages.train", read_sources())
    return run_key(settings | {"torch": torch.__version__}, code | {DEVELOPMENT.as_posix(): md5_of(development)})


def files_of(fold: StoredFold) -> Files:
    log = LOG if fold.position == 0 else LOG / "folds" / fold.name
    return Files(fold.of(DEVELOPMENT), fold.of(WEIGHTS), fold.of(MODEL), log)


def run_of(params: Params, tuned: Tuned | None, fold: StoredFold) -> Run:
    """What is to be trained on a fold."""
    files = files_of(fold)
    key = key_of(params, tuned, files.development)
    seed = f"{params.seed}-{fold.name}" if fold.count > 1 else str(params.seed)
    name = f"{params.task}-{format_budget(params.budget)}-{seed}-{key[:6]}"
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads)
    more_follow = fold.position < fold.count - 1
    plain = Run(key, name, params, compute, files, scratch_folder(dict(os.environ), Path.cwd()), kept=more_follow)
    return replace(plain, shape=tuned.shape, found_by=tuned.source) if tuned else plain


def finish(runs: list[Run], folds: list[StoredFold], done: list[Trained]) -> None:
    """Write what was measured over all folds; remove saved states, and what an earlier run with more folds left."""
    check_unchanged()  # while there is still a state to go on from
    seconds, windows = sum(one.seconds for one in done), sum(one.windows_seen for one in done)
    together = Trained("", windows, seconds, sum(one.thermal_pauses for one in done), done[-1].use)
    write_json(RUNTIME, together.measured() | {"processor": platform.machine(), "system": platform.system()})
    for path in (WEIGHTS, MODEL):
        remove_others(path, folds)
    logged = {fold.name for fold in folds[1:]}
    for folder in (LOG / "folds").glob("*"):
        if folder.name not in logged:
            shutil.rmtree(folder)
    for one in runs:
        with one.claimed() as folder:
            SavedRun(folder, keep=1).remove()


def take(result: Path, params: Params, folds: list[StoredFold]) -> None:
    """In place of training: what another machine left, after checking that it is of these settings and rows."""
    for fold in folds:
        take_model(result, params, files_of(fold))
    take_files(result, [RUNTIME])
    for path in (WEIGHTS, MODEL):
        remove_others(path, folds)
    print(f"train: trained elsewhere, on {read_json(MODEL)['compute']['machine']}")


def main() -> None:
    params, tuned = apply_tuned(load_params(Params))
    folds = read_folds(FOLDS)
    if result := result_to_take():
        take(result, params, folds)
        return
    if (processes := processes_asked(os.environ)) > 1:
        run_in_processes(processes, "stages.train")
        return
    runs = [run_of(params, tuned, fold) for fold in folds]
    with sharding.processes(dict(os.environ)):
        if sharding.is_main():
            collect_orphans(runs[0].scratch, [one.key for one in runs])
        done = []
        for fold, one in zip(folds, runs, strict=True):
            if fold.count > 1 and sharding.is_main():
                print(f"train: fold {fold.name}, {fold.position + 1} of {fold.count}", flush=True)
            done.append(train(one))
        if sharding.is_main():
            finish(runs, folds, done)


if __name__ == "__main__":
    run(main)
