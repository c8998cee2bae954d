"""Where a run is recorded: DVCLive always, MLflow and Weights & Biases as mirrors when switched on.

A mirror is a convenience: what goes wrong there is said once and never stops a run. Both are imported only when on.
"""

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from dvclive.live import Live

from finscale.training.config import TrackingConfig
from finscale.training.loop import Epoch

_PROJECT = "finscale"


class Mirror(Protocol):
    def log(self, step: int, values: dict[str, float]) -> None: ...
    def finish(self, summary: dict[str, Any]) -> None: ...


class MlflowMirror:
    """An MLflow run in a local SQLite store, or at $MLFLOW_TRACKING_URI."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path) -> None:
        mlflow = import_module("mlflow")
        mlflow.set_tracking_uri(
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        )
        mlflow.set_experiment(_PROJECT)
        mlflow.start_run(run_name=name)
        mlflow.log_params(settings)
        self._mlflow = mlflow

    def log(self, step: int, values: dict[str, float]) -> None:
        self._mlflow.log_metrics(values, step=step)

    def finish(self, summary: dict[str, Any]) -> None:
        self._mlflow.log_dict(summary, "run.json")
        self._mlflow.end_run()


class WandbMirror:
    """A Weights & Biases run; offline, under <folder>/wandb, without a key."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path) -> None:
        wandb = import_module("wandb")
        mode = "online" if os.environ.get("WANDB_API_KEY") else "offline"
        self._run = wandb.init(
            project=_PROJECT, name=name, config=settings, dir=str(folder), mode=mode,
            settings=wandb.Settings(silent=True),
        )  # fmt: skip

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def finish(self, summary: dict[str, Any]) -> None:
        self._run.summary.update(summary)
        self._run.finish()


class Tracker:
    """Records a run's epochs. Every epoch is told once and in order: a resumed run tells its earlier ones again."""

    def __init__(self, log: Path, name: str, settings: dict[str, Any], config: TrackingConfig, folder: Path) -> None:
        self._live = Live(str(log), dvcyaml=None, save_dvc_exp=False, report=None)
        self._mirrors: dict[str, Mirror] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for on, mirror in ((config.mlflow, MlflowMirror), (config.wandb, WandbMirror)):
            if on:
                self._attempt(mirror.__name__, partial(self._start, mirror, name, settings, folder))

    def _start(self, kind: Callable[..., Mirror], name: str, settings: dict[str, Any], folder: Path) -> None:
        self._mirrors[kind.__name__] = kind(name, settings, folder)

    def log(self, epoch: Epoch) -> None:
        values = {
            "train/loss": epoch.train_loss,
            "validation/loss": epoch.validation_loss,
            "learning_rate": epoch.learning_rate,
        }
        self._live.step = epoch.epoch
        for name, value in values.items():
            self._live.log_metric(name, value)
        self._live.next_step()
        for name, mirror in list(self._mirrors.items()):
            self._attempt(name, partial(mirror.log, epoch.epoch, values))

    def finish(self, summary: dict[str, Any]) -> None:
        self._live.end()
        for name, mirror in list(self._mirrors.items()):
            self._attempt(name, partial(mirror.finish, summary))

    def _attempt(self, name: str, act: Callable[[], None]) -> None:
        """A mirror talks to other people's servers and files: whatever it raises, the run goes on without it."""
        try:
            act()
        except Exception as error:
            self._mirrors.pop(name, None)
            print(f"train: {name} failed and is left out from here on: {type(error).__name__}: {error}", flush=True)
