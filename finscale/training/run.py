"""One run of training, from a fold's rows to a model on the disk and the record of how it was made.

    rows, shared with other runs -> windows -> (pretrained) -> the model, built from its seed -> trained, or gone on
    with -> weights, description, log

States of a run that is not complete lie in <scratch>/<key>/ (finscale.training.resume), claimed by one process. Under
torchrun every process runs this; the first alone writes.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from finscale.config import is_binary
from finscale.data.rows import Rows, shared_rows
from finscale.data.windows import Windows, development_windows
from finscale.identity import Made, made_from
from finscale.model.masked import MaskedPatches
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, solve
from finscale.storage import md5_of, write_csv
from finscale.training import batch_size, checkpoint, sharding
from finscale.training.checkpoint import Checkpoint
from finscale.training.config import RunSettings, TrainConfig
from finscale.training.device import Compute
from finscale.training.initial import initial_model
from finscale.training.interrupt import RunStoppedError, stop_on_signals
from finscale.training.loop import Trainer
from finscale.training.mirrors import Record
from finscale.training.pretrain import Pretrained, Reconstruction, masked_model
from finscale.training.pretrain import settings as pretrain_settings
from finscale.training.progress import DivergedError, Epoch, FitResult
from finscale.training.record import describe_run
from finscale.training.resume import SavedRun, claim
from finscale.training.target import Criterion, Target
from finscale.training.thermal import ThermalGuard, thermal_reader
from finscale.training.tracking import Tracker, sample_predictions

NO_RESULT = {"checkpoint", "thermal", "tracking"}  # how often saved, how hot, where mirrored: they decide no result


@dataclass(frozen=True)
class Files:
    """Where a run finds its rows, and where it leaves the model and its log."""

    development: Path
    weights: Path
    model: Path
    log: Path


@dataclass(frozen=True)
class Run:
    """What is to be trained. key: the hash of all that decides its result; name: for people."""

    key: str
    name: str
    settings: RunSettings
    compute: Compute
    files: Files
    scratch: Path
    shape: Shape | None = None  # None: solved for the budget
    found_by: dict[str, Any] = field(default_factory=dict)  # the search's trial that settings and shape are of
    kept: bool = False  # the final state stays until all folds are trained

    def claimed(self) -> AbstractContextManager[Path]:
        """The folder of its saved states, held by the first process."""
        return claim(self.scratch, self.key) if sharding.is_main() else nullcontext(self.scratch / self.key)

    def made_from(self) -> Made:
        """Its settings, those of a search left to the search, and its rows."""
        return made_from(self.settings, [self.files.development], {"train": True if self.found_by else NO_RESULT})

    def told(self) -> dict[str, Any]:
        """Settings as the log has them."""
        settings = self.settings.model_dump(mode="json", exclude={"train": NO_RESULT})
        return settings | settings.pop("train") | {"data_md5": md5_of(self.files.development)}


@dataclass(frozen=True)
class Trained:
    """A run that is complete: under which key its state lies, and what was measured."""

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


def train(run: Run) -> Trained:
    """Train the run's model, or go on with it, or find that it is trained already; write it."""
    with shared_rows(run.files.development, run.scratch) as rows:
        return train_on(rows, run)


def train_on(rows: Rows, run: Run) -> Trained:
    config, device, seed = run.settings.train, run.compute.device, run.settings.seed
    data = development_windows(rows, config.model.context_length, device, config.validation_windows)
    train, target = data["train"], Target.of(data["train"], is_binary(run.settings.task))
    shape = run.shape or solve(run.settings.budget, config.model, train.channels)
    with run.claimed() as folder:
        before = pretrain(run, shape, data, folder)
        network = initial_model(shape, config, run.settings.budget, train, target, seed)
        if before:
            before.start(network)
        trainer = prepare(run, network, shape, data, target, config)
        trainer.saved = SavedRun(folder, config.checkpoint.keep)
        tracker = start_tracker(run)
        result = fit(trainer, tracker)
        if run.kept:
            keep_until_all_are_trained(trainer)
        done = measure(run.key, trainer, tracker, result, before)
        weights = sharding.gathered(trainer.model.state_dict())
        if tracker:
            network = PatchTST(shape, config.model, train.channels).to(device)
            network.load_state_dict(weights)
            about = describe_run(network, shape, config.model, train, result, before)
            about |= {"tuned": run.found_by} if run.found_by else {}
            best = next(epoch for epoch in trainer.progress.history if epoch.epoch == result.best_epoch)
            about |= {"train_loss": best.train_loss, "made_from": run.made_from()}
            made = Checkpoint(network, shape, config.model, rows.features, target, run.compute, about)
            write(made, run.files, done, tracker, data["validation"], before)
    return done


def pretrain(run: Run, shape: Shape, data: dict[str, Windows], folder: Path) -> Pretrained | None:
    """The encoder that training starts from; None where train.pretrain is off. Its last state stays until the run is
    over, so that a run which is interrupted later does not pretrain again."""
    config = run.settings.train
    if not config.pretrain.epochs:
        return None
    model = masked_model(shape, config, data["train"].channels, run.settings.seed)
    head = model.counts().head
    if sharding.is_main():
        print(f"train: first masked patches, with a head of {head:,} parameters that is in no budget")
    trainer = prepare(run, model, shape, data, Reconstruction(), pretrain_settings(config))
    trainer.saved = SavedRun(folder / "pretrain", config.checkpoint.keep)
    result = fit(trainer, None)
    keep_until_all_are_trained(trainer)
    weights = MaskedPatches.encoder_weights(sharding.gathered(trainer.model.state_dict(), everywhere=True))
    return Pretrained(weights, result, trainer.progress.history, head, trainer.progress.seconds)


def prepare(
    run: Run, network: PatchTST, shape: Shape, data: dict[str, Windows], target: Criterion, config: TrainConfig
) -> Trainer:
    """The model on its device, sharded where there are several processes, and what trains it."""
    compute = run.compute
    network.to(compute.device)
    if sharding.is_main():
        print(f"train: {network.counts().total:,} parameters {asdict(shape)}, {compute.precision} on {compute.device}")
    micro_batch = sharding.smallest(choose_micro_batch(run, network, shape, data["train"]))
    sharding.shard(network, network.layers)
    trainer = Trainer(network, data["train"], data["validation"], target, config, compute, run.settings.seed)
    if sharding.is_main():
        print(f"train: at most {trainer.schedule.told(len(data['validation']), config)}")
    trainer.micro_batch = micro_batch
    if read := thermal_reader(config.thermal.sensor, compute.device):
        trainer.guard = ThermalGuard(config.thermal, read)
    return trainer


def choose_micro_batch(run: Run, network: PatchTST, shape: Shape, windows: Windows) -> int:
    """Windows of one pass: what was set, or for `auto` as many of a batch as memory takes."""
    config, compute = run.settings.train, run.compute
    asked, limit = config.micro_batch, config.batch_size
    if asked != "auto":
        return asked or limit
    model, recompute = config.model, config.recompute
    if compute.device.type == "cuda":
        fits = batch_size.fits_on_cuda(
            network, lambda size: windows.gather(torch.arange(size) % len(windows))[0], compute
        )
    else:
        fits = batch_size.fits_in_host_memory(shape, model, windows.channels, recompute, compute.precision)
    key = batch_size.memory_key(shape, model, windows.channels, recompute, compute) | {"limit": limit}
    known = run.scratch / "batch_sizes.json"
    found = batch_size.remembered(known, key, lambda: batch_size.find_batch_size(fits, limit))
    print(f"train: {found} windows of a batch of {limit} in one pass")
    return found


def start_tracker(run: Run) -> Tracker | None:
    """The log and its mirrors; of several processes the first alone writes."""
    if not sharding.is_main():
        return None
    tracking = run.settings.train.tracking
    return Tracker(run.files.log, run.name, run.told(), tracking, run.scratch / "tracking", run.compute.device)


def fit(trainer: Trainer, tracker: Tracker | None) -> FitResult:
    """Train, showing progress and logging every epoch; exits with a message where the run is stopped."""
    with tqdm(
        total=trainer.schedule.total, desc="train", unit=" windows", unit_scale=True, mininterval=2,
        disable=not sharding.is_main(),
    ) as bar:  # fmt: skip
        trainer.on_windows = bar.update

        def log(epoch: Epoch) -> None:
            if tracker:
                tracker.log(epoch)
            bar.update(max(0, epoch.windows_seen - bar.n))  # of an earlier start
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


def keep_until_all_are_trained(trainer: Trainer) -> None:
    """Save the state at the end of training, in place of all earlier ones: resumed from it, a run is over at once."""
    assert trainer.saved is not None
    trainer.saved = SavedRun(trainer.saved.folder, keep=1)
    trainer.save()


def measure(
    key: str, trainer: Trainer, tracker: Tracker | None, result: FitResult, before: Pretrained | None
) -> Trained:
    """Windows and seconds are of pretraining too."""
    pauses = trainer.guard.pauses if trainer.guard else 0
    use = {"micro_batch": trainer.micro_batch} | tracker.use.whole() if tracker else {}
    windows, seconds = result.windows_seen, trainer.progress.seconds
    if before:
        windows, seconds = windows + before.result.windows_seen, seconds + before.seconds
    return Trained(key, windows, seconds, pauses, use)


def write(
    made: Checkpoint, files: Files, done: Trained, tracker: Tracker, validation: Windows, before: Pretrained | None
) -> None:
    """The model, and the record of how it was made."""
    checkpoint.save(made, files.weights, files.model)
    best = {"epoch": made.run["best_epoch"], "validation_loss": made.run["validation_loss"]}
    best |= {"file": files.weights.as_posix(), "md5": md5_of(files.weights)}
    if before:
        write_csv(files.log / "pretraining.csv", before.table())
    sample = sample_predictions(made.network, validation, made.target, made.compute)
    tracker.finish(Record(made.run | done.measured(), best, sample))
