"""train: development rows -> models/model.{safetensors,json}

Reads  data/processed/development.parquet  train and validation rows; the test split is out of reach
       data/processed/development_folds/, data/processed/folds.csv  the same of the folds after the first
       models/tune/                        the search's best settings and shape, where `train.from_tune` is true
Writes models/model.safetensors  the best epoch's weights
       models/model.json         shape, counts, features, and what the run did
       models/model_folds/       both of each fold after the first
       dvclive/                  settings, loss curves and learning rate per epoch, best checkpoint, sample predictions;
                                 dvclive/folds/ those of later folds
       metrics/runtime.json      seconds, speed, device use and machine: the one output that differs between repeats
Why    one seeded run per fold whose size is counted, never labelled. Interrupted, it goes on where it stopped: states
       lie outside the workspace under each fold's key (finscale.training.resume) until all folds are trained.
"""

import os
import platform
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from finscale.cli import run
from finscale.config import Block, Budget, Task, check_unchanged, format_budget, is_binary, load_params
from finscale.data.dataset import feature_names, read_development
from finscale.data.folds import StoredFold, folder_of_later, read_folds, remove_others
from finscale.data.windows import Windows
from finscale.identity import made_from
from finscale.imports import import_closure
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, solve
from finscale.search.tuned import Tuned, load_tuned
from finscale.storage import md5_of, write_json
from finscale.training import batch_size, checkpoint, sharding
from finscale.training.checkpoint import Checkpoint
from finscale.training.config import TrainConfig
from finscale.training.device import Compute, choose_compute
from finscale.training.initial import initial_model
from finscale.training.interrupt import RunStoppedError, stop_on_signals
from finscale.training.loop import DivergedError, Epoch, FitResult, Trainer
from finscale.training.mirrors import Record
from finscale.training.record import describe_run
from finscale.training.resume import SavedRun, claim, collect_orphans, run_key, scratch_folder
from finscale.training.target import Target
from finscale.training.thermal import ThermalGuard, thermal_reader
from finscale.training.tracking import Tracker, sample_predictions

DEVELOPMENT = Path("data/processed/development.parquet")
DEVELOPMENT_FOLDS = folder_of_later(DEVELOPMENT)
FOLDS = Path("data/processed/folds.csv")
TUNED = Path("models/tune")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
MODEL_FOLDS = folder_of_later(MODEL)
LOG = Path("dvclive")
RUNTIME = Path("metrics/runtime.json")

NO_RESULT = {"checkpoint", "thermal", "tracking"}  # how often saved, how hot, where mirrored: they decide no result


class Params(Block):
    task: Task
    budget: Budget
    seed: int
    train: TrainConfig


@dataclass(frozen=True)
class Trained:
    """One fold's run that is complete: under which key its state lies, and what was measured."""

    key: str
    windows_seen: int
    seconds: float
    thermal_pauses: int
    use: dict[str, float]  # micro-batch and device use of the last start; empty for processes that keep no record

    def measured(self) -> dict[str, Any]:
        speed = {
            "train_seconds": round(self.seconds, 3),
            "windows_per_second": round(self.windows_seen / self.seconds, 1),
        }
        return speed | {"thermal_pauses": self.thermal_pauses} | self.use


def key_of(params: Params, tuned: Tuned | None, development: Path) -> str:
    """The key of a fold's run: hash of all that decides its result."""
    settings = params.model_dump(exclude={"train": NO_RESULT})
    if tuned:
        settings["shape"] = asdict(tuned.shape)
    code = import_closure("stages.train", lambda path: Path(path).read_text() if Path(path).is_file() else None)
    return run_key(settings | {"torch": torch.__version__}, code | {DEVELOPMENT.as_posix(): md5_of(development)})


def apply_tuned(params: Params) -> tuple[Params, Tuned | None]:
    """Settings with what the search found in them, where that is asked for."""
    if not params.train.from_tune:
        return params, None
    tuned = load_tuned(TUNED, params.train, params.task, params.budget, md5_of(DEVELOPMENT))
    print("train: settings and shape of trial {trial} of study {study}, loss {value:.6g}".format(**tuned.source))
    return params.model_copy(update={"train": tuned.config}), tuned


def choose_micro_batch(params: Params, network: PatchTST, shape: Shape, windows: Windows, compute: Compute) -> int:
    """Windows of one pass: what was set, or for `auto` as many of a batch as memory takes."""
    asked, limit = params.train.micro_batch, params.train.batch_size
    if asked != "auto":
        return asked or limit
    model, recompute = params.train.model, params.train.recompute
    if compute.device.type == "cuda":
        fits = batch_size.fits_on_cuda(
            network, lambda size: windows.gather(torch.arange(size) % len(windows))[0], compute
        )
    else:
        fits = batch_size.fits_in_host_memory(shape, model, windows.channels, recompute, compute.precision)
    key = batch_size.memory_key(shape, model, windows.channels, recompute, compute) | {"limit": limit}
    found = batch_size.remembered(scratch() / "batch_sizes.json", key, lambda: batch_size.find_batch_size(fits, limit))
    print(f"train: {found} windows of a batch of {limit} in one pass")
    return found


def scratch() -> Path:
    return scratch_folder(dict(os.environ), Path.cwd())


def start_tracker(params: Params, key: str, fold: StoredFold, compute: Compute) -> Tracker | None:
    """The log and its mirrors; of several processes the first alone writes."""
    if not sharding.is_main():
        return None
    settings = params.model_dump(mode="json", exclude={"train": NO_RESULT})
    settings |= settings.pop("train") | {"data_md5": md5_of(fold.of(DEVELOPMENT))}
    seed = f"{params.seed}-{fold.name}" if fold.count > 1 else str(params.seed)
    name = f"{params.task}-{format_budget(params.budget)}-{seed}-{key[:6]}"
    log = LOG if fold.position == 0 else LOG / "folds" / fold.name
    return Tracker(log, name, settings, params.train.tracking, scratch() / "tracking", compute.device)


def prepare(params: Params, shape: Shape, data: dict[str, Windows], target: Target, compute: Compute) -> Trainer:
    """The model on its device, sharded where there are several processes, and what trains it."""
    network = initial_model(shape, params.train, params.budget, data["train"], target, params.seed)
    network.to(compute.device)
    if sharding.is_main():
        print(f"train: {network.counts().total:,} parameters {asdict(shape)}, {compute.precision} on {compute.device}")
    micro_batch = sharding.smallest(choose_micro_batch(params, network, shape, data["train"], compute))
    sharding.shard(network, network.layers)
    config = params.train
    trainer = Trainer(network, data["train"], data["validation"], target, config, compute, params.seed)
    trainer.micro_batch = micro_batch
    if read := thermal_reader(config.thermal.sensor, compute.device):
        trainer.guard = ThermalGuard(config.thermal, read)
    return trainer


def fit(trainer: Trainer, tracker: Tracker | None) -> FitResult:
    """Train, showing progress and logging every epoch; exits with a message where the run is stopped."""
    with tqdm(total=trainer.config.epochs, desc="train", unit="epoch", mininterval=2, disable=tracker is None) as bar:

        def log(epoch: Epoch) -> None:
            if tracker:
                tracker.log(epoch)
            bar.update()
            bar.set_postfix(train=f"{epoch.train_loss:.5g}", validation=f"{epoch.validation_loss:.5g}")

        try:
            with stop_on_signals() as trainer.stop:
                return trainer.fit(log)
        except (RunStoppedError, DivergedError) as ended:
            if tracker:
                tracker.stop(failed=isinstance(ended, DivergedError))
            if isinstance(ended, DivergedError):
                raise
            sys.exit(str(ended))


def train_fold(params: Params, tuned: Tuned | None, compute: Compute, fold: StoredFold) -> Trained:
    """Train one fold's model, or go on with it, or find that it is trained already; write it."""
    rows = read_development(fold.of(DEVELOPMENT))
    length = params.train.model.context_length
    data = {split: Windows(rows, split, length, compute.device) for split in ("train", "validation")}
    target, key = Target.of(data["train"], is_binary(params.task)), key_of(params, tuned, fold.of(DEVELOPMENT))
    shape = tuned.shape if tuned else solve(params.budget, params.train.model, data["train"].channels)
    with claimed(key) as folder:
        trainer = prepare(params, shape, data, target, compute)
        trainer.saved = SavedRun(folder, params.train.checkpoint.keep)
        tracker = start_tracker(params, key, fold, compute)
        result = fit(trainer, tracker)
        if fold.position < fold.count - 1:
            keep_until_all_are_trained(trainer)
        done = measure(key, trainer, tracker, result)
        network = PatchTST(shape, params.train.model, data["train"].channels).to(compute.device)
        network.load_state_dict(sharding.gathered(trainer.model.state_dict()))
        if tracker:
            about = describe_run(network, shape, params.train.model, data["train"], result)
            about |= {"tuned": tuned.source} if tuned else {}
            about |= {"made_from": made_from(params, [fold.of(DEVELOPMENT)], {"train": True if tuned else NO_RESULT})}
            made = Checkpoint(network, shape, params.train.model, feature_names(rows), target, compute, about)
            write(made, fold, done, tracker, data["validation"])
    return done


def measure(key: str, trainer: Trainer, tracker: Tracker | None, result: FitResult) -> Trained:
    pauses = trainer.guard.pauses if trainer.guard else 0
    use = {"micro_batch": trainer.micro_batch} | tracker.use.whole() if tracker else {}
    return Trained(key, result.windows_seen, trainer.progress.seconds, pauses, use)


def keep_until_all_are_trained(trainer: Trainer) -> None:
    """Save the state at the end of training, in place of all earlier ones: resumed from it, a run is over at once."""
    assert trainer.saved is not None
    trainer.saved = SavedRun(trainer.saved.folder, keep=1)
    trainer.save()


def main() -> None:
    params, tuned = apply_tuned(load_params(Params))
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads)
    folds = read_folds(FOLDS)
    with sharding.processes(dict(os.environ)):
        if sharding.is_main():
            collect_orphans(scratch())
        done = []
        for fold in folds:
            if fold.count > 1 and sharding.is_main():
                print(f"train: fold {fold.name}, {fold.position + 1} of {fold.count}", flush=True)
            done.append(train_fold(params, tuned, compute, fold))
        if sharding.is_main():
            finish(folds, done)


def claimed(key: str) -> AbstractContextManager[Path]:
    """The run's folder, held by the first process."""
    return claim(scratch(), key) if sharding.is_main() else nullcontext(scratch() / key)


def write(made: Checkpoint, fold: StoredFold, done: Trained, tracker: Tracker, validation: Windows) -> None:
    """A fold's model, and the record of how it was made."""
    weights = fold.of(WEIGHTS)
    checkpoint.save(made, weights, fold.of(MODEL))
    best = {"epoch": made.run["best_epoch"], "validation_loss": made.run["validation_loss"]}
    best |= {"file": weights.as_posix(), "md5": md5_of(weights)}
    sample = sample_predictions(made.network, validation, made.target, made.compute)
    tracker.finish(Record(made.run | done.measured(), best, sample))


def finish(folds: list[StoredFold], done: list[Trained]) -> None:
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
    for one in done:
        with claimed(one.key) as folder:
            SavedRun(folder, keep=1).remove()


if __name__ == "__main__":
    run(main)
