"""Where a run is recorded: DVCLive always, MLflow and Weights & Biases as mirrors when switched on.

DVCLive's folder is an output whose hash is compared between repeats, so it holds what is decided and found:

    params.yaml       settings, seed, the data's hash
    plots/, metrics.json   losses and learning rate per epoch
    best.json         the best checkpoint: epoch, validation loss, file and md5
    predictions.csv   outputs for the last validation days

The mirrors hold the same, and what was measured: speed, device use, memory. A mirror is a convenience: what goes
wrong there is said in a line and never stops a run; at its end a mirror that was left out is tried once more.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from finscale.data.windows import Windows
from finscale.storage import write_csv, write_json
from finscale.training import mirrors
from finscale.training.config import TrackingConfig
from finscale.training.device import Compute
from finscale.training.live_log import log_epoch, open_log
from finscale.training.mirrors import Hand, Mirror, Record
from finscale.training.progress import Epoch
from finscale.training.target import Target
from finscale.training.use import UseMeter

SAMPLE = 20  # predictions that are recorded


class Tracker:
    """Records a run's epochs. Every epoch is told once and in order: a resumed run tells its earlier ones again,
    to mirrors as a run of its own."""

    def __init__(
        self, log: Path, name: str, settings: dict[str, Any], config: TrackingConfig, folder: Path,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.use = UseMeter(device)
        self._log, self._folder = log, folder
        self._live = open_log(log)
        self._live.log_params(settings)
        self._mirrors: dict[str, Mirror] = {}
        self._hands: dict[str, Hand] = {}
        self._told: list[tuple[int, dict[str, float]]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._kinds = {kind: make for kind, make in mirrors.KINDS.items() if getattr(config, kind)}
        self._make = lambda kind: self._kinds[kind](name, settings, folder)
        for kind in self._kinds:
            self._start(kind)

    def _start(self, kind: str) -> None:
        self._hands[kind] = Hand()
        if mirror := mirrors.attempt(kind, partial(self._make, kind), self._hands[kind], mirrors.STARTS):
            self._mirrors[kind] = mirror

    def log(self, epoch: Epoch) -> None:
        values = {
            "train/loss": epoch.train_loss,
            "validation/loss": epoch.validation_loss,
            "learning_rate": epoch.learning_rate,
            "windows_seen": epoch.windows_seen,
        }
        log_epoch(self._live, epoch.epoch, values)
        used = {f"device/{name}": value for name, value in self.use.read().items()}
        self._told.append((epoch.epoch, values | used))
        self._tell_all(lambda mirror: mirror.log(epoch.epoch, values | used))

    def finish(self, record: Record) -> None:
        self._live.end()
        if record.best:
            write_json(self._log / "best.json", record.best)
        if record.predictions is not None:
            write_csv(self._log / "predictions.csv", record.predictions)
        self._take_up_again()
        self._tell_all(lambda mirror: mirror.finish(record))
        if self._mirrors and record.best:
            mirrors.remember(self._folder, record.best["md5"], {kind: it.id for kind, it in self._mirrors.items()})

    def stop(self, failed: bool) -> None:
        """The run ends before its time: asked to, or failed."""
        self._tell_all(lambda mirror: mirror.stop(failed))

    def _take_up_again(self) -> None:
        """Mirrors that were left out on the way get the whole run now, if they answer again."""
        for kind in (kind for kind in self._kinds if kind not in self._mirrors):
            self._start(kind)
            for step, values in self._told:
                self._tell(kind, partial(_log, step=step, values=values))

    def _tell_all(self, act: Callable[[Mirror], None]) -> None:
        for kind in list(self._mirrors):
            self._tell(kind, act)

    def _tell(self, kind: str, act: Callable[[Mirror], None]) -> None:
        """Have it done at a mirror that is not left out; one where it fails is."""
        if kind not in self._mirrors:
            return
        mirror = self._mirrors[kind]

        def done() -> bool:
            act(mirror)
            return True

        if not mirrors.attempt(kind, done, self._hands[kind]):
            del self._mirrors[kind]


def _log(mirror: Mirror, step: int, values: dict[str, float]) -> None:
    mirror.log(step, values)


@torch.no_grad()
def sample_predictions(network: torch.nn.Module, windows: Windows, target: Target, compute: Compute) -> pd.DataFrame:
    """date, asset, label and the model's output for the last windows: a logit, or a return in the label's units."""
    network.eval()
    index_B = torch.arange(max(0, len(windows) - SAMPLE), len(windows), device=compute.device)
    x_BLC, label_B = windows.gather(index_B)
    with compute.autocast():
        output_B = network(x_BLC).float().cpu().numpy().astype(np.float64)
    told = {"logit": output_B} if target.binary else {"return": output_B * target.std + target.mean}
    return windows.keys.iloc[index_B.cpu()].assign(label=label_B.cpu().numpy(), **told)
