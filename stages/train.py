"""train: development rows -> models/model.{safetensors,json}

Reads  data/processed/development.parquet  train and validation rows; the test split is out of reach
       models/tune/                        the search's best settings and shape, where `train.from_tune` is true
Writes models/model.safetensors  the best epoch's weights
       models/model.json         shape, counts, features, and what the run did
       dvclive/                  settings, loss curves and learning rate per epoch, best checkpoint, sample predictions
       metrics/runtime.json      seconds, speed, device use and machine: the one output that differs between repeats
Why    one seeded run whose size is counted, never labelled. Interrupted, it goes on where it stopped: its state
       lies outside the workspace under the run's key (finscale.training.resume) until the run is complete.
"""

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from finscale.cli import run
from finscale.config import Block, Budget, Task, format_budget, is_binary, load_params
from finscale.dataset import feature_names, read_development
from finscale.imports import import_closure
from finscale.model.budget import Shape, flops_per_window, solve
from finscale.model.patchtst import PatchTST
from finscale.search.tuned import Tuned, load_tuned
from finscale.storage import md5_of, write_json
from finscale.training import batch_size, checkpoint, sharding
from finscale.training.checkpoint import Checkpoint
from finscale.training.config import TrainConfig
from finscale.training.device import Compute, choose_compute
from finscale.training.initial import initial_model
from finscale.training.interrupt import RunStoppedError, stop_on_signals
from finscale.training.loop import DivergedError, Epoch, FitResult, Target, Trainer
from finscale.training.mirrors import Record
from finscale.training.resume import SavedRun, claim, collect_orphans, run_key, scratch_folder
from finscale.training.thermal import ThermalGuard, thermal_reader
from finscale.training.tracking import Tracker, sample_predictions
from finscale.windows import Windows

DEVELOPMENT = Path("data/processed/development.parquet")
TUNED = Path("models/tune")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
LOG = Path("dvclive")
RUNTIME = Path("metrics/runtime.json")

NO_RESULT = {"checkpoint", "thermal", "tracking"}  # how often saved, how hot, where mirrored: they decide no result


class Params(Block):
    task: Task
    budget: Budget
    seed: int
    train: TrainConfig


def key_of(params: Params, tuned: Tuned | None) -> str:
    """The run's key: hash of all that decides its result."""
    settings = params.model_dump(exclude={"train": NO_RESULT})
    if tuned:
        settings["shape"] = asdict(tuned.shape)
    code = import_closure("stages.train", lambda path: Path(path).read_text() if Path(path).is_file() else None)
    return run_key(settings | {"torch": torch.__version__}, code | {DEVELOPMENT.as_posix(): md5_of(DEVELOPMENT)})


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


def start_tracker(params: Params, key: str, compute: Compute) -> Tracker | None:
    """The log and its mirrors; of several processes the first alone writes."""
    if not sharding.is_main():
        return None
    settings = params.model_dump(mode="json", exclude={"train": NO_RESULT})
    settings |= settings.pop("train") | {"data_md5": md5_of(DEVELOPMENT)}
    name = f"{params.task}-{format_budget(params.budget)}-{params.seed}-{key[:6]}"
    return Tracker(LOG, name, settings, params.train.tracking, scratch() / "tracking", compute.device)


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


def describe(params: Params, network: PatchTST, shape: Shape, data: dict[str, Windows], result: FitResult) -> dict:
    """What the run was, counted and measured; goes into the checkpoint and from there to the ledger."""
    counts, channels = network.counts(), data["train"].channels
    tokens = channels * params.train.model.num_patches
    flops = flops_per_window(shape, params.train.model, channels)
    return {
        "params_total": counts.total,
        **{f"params_{group}": value for group, value in asdict(counts).items()},
        "channels": channels,
        "train_windows": len(data["train"]),
        "flops_per_window": flops,
        "train_flops": 3 * flops * result.windows_seen,
        "tokens_seen": tokens * result.windows_seen,
        **asdict(result),
    }


def main() -> None:
    params, tuned = apply_tuned(load_params(Params))
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads)
    rows = read_development(DEVELOPMENT)
    length = params.train.model.context_length
    data = {split: Windows(rows, split, length, compute.device) for split in ("train", "validation")}
    target, key = Target.of(data["train"], is_binary(params.task)), key_of(params, tuned)
    shape = tuned.shape if tuned else solve(params.budget, params.train.model, data["train"].channels)
    with sharding.processes(dict(os.environ)), claimed(key) as folder:
        trainer = prepare(params, shape, data, target, compute)
        trainer.saved, tracker = SavedRun(folder, params.train.checkpoint.keep), start_tracker(params, key, compute)
        result = fit(trainer, tracker)
        network = PatchTST(shape, params.train.model, data["train"].channels).to(compute.device)
        network.load_state_dict(sharding.gathered(trainer.model.state_dict()))
        if tracker:
            about = describe(params, network, shape, data, result) | ({"tuned": tuned.source} if tuned else {})
            made = Checkpoint(network, shape, params.train.model, feature_names(rows), target, compute, about)
            write(made, trainer, tracker, data["validation"])
            trainer.saved.remove()


def claimed(key: str) -> AbstractContextManager[Path]:
    """The run's folder, held by the first process; that one also removes what nobody will resume."""
    if not sharding.is_main():
        return nullcontext(scratch() / key)
    collect_orphans(scratch())
    return claim(scratch(), key)


def write(made: Checkpoint, trainer: Trainer, tracker: Tracker, validation: Windows) -> None:
    """The model, the record of how it was made, and apart from both what was measured."""
    checkpoint.save(made, WEIGHTS, MODEL)
    measured = measure(trainer, tracker, made.run["windows_seen"])
    write_json(RUNTIME, measured)
    best = {"epoch": made.run["best_epoch"], "validation_loss": made.run["validation_loss"]}
    best |= {"file": WEIGHTS.as_posix(), "md5": md5_of(WEIGHTS)}
    sample = sample_predictions(made.network, validation, made.target, made.compute)
    tracker.finish(Record(made.run | measured, best, sample))


def measure(trainer: Trainer, tracker: Tracker, windows_seen: int) -> dict:
    """Time, speed, device use and machine; of the last start alone, but for time and speed."""
    seconds = trainer.progress.seconds
    return {
        "train_seconds": round(seconds, 3),
        "windows_per_second": round(windows_seen / seconds, 1),
        "micro_batch": trainer.micro_batch,
        "thermal_pauses": trainer.guard.pauses if trainer.guard else 0,
        **tracker.use.whole(),
        "processor": platform.machine(),
        "system": platform.system(),
    }


if __name__ == "__main__":
    run(main)
