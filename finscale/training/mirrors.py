"""Copies of a run's record in MLflow and Weights & Biases, both imported only when switched on.

A mirrored run leaves its id under <folder>/mirrored/<md5 of the weights>.json, so that `evaluate`, which knows
no more of the run than its model, adds the test metrics to the run that made it.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any, Protocol, TypeVar, cast

import pandas as pd

from finscale.faults import without_secrets
from finscale.storage import read_json, write_json

T = TypeVar("T")

_PROJECT = "finscale"
STARTS, ACTS = 30.0, 10.0  # seconds that a mirror may take to begin a run, and for anything after
# Where nothing else is set: as long as a server that is there takes at most, not seven times two minutes; and W&B's
# reports of its own errors, which hold up the end of the process, are not sent.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "WANDB_ERROR_REPORTING": "false",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """What is known of a run when it is complete. A search's trial keeps no checkpoint."""

    summary: dict[str, Any]  # counted, found and measured
    best: dict[str, Any] = field(default_factory=dict)  # the best checkpoint: epoch, validation loss, file and md5
    predictions: pd.DataFrame | None = None  # a sample


class Mirror(Protocol):
    id: str

    def log(self, step: int, values: dict[str, float]) -> None: ...
    def finish(self, record: Record) -> None: ...
    def stop(self, failed: bool) -> None: ...
    @staticmethod
    def add(folder: Path, run: str, values: dict[str, Any]) -> None: ...


class MlflowMirror:
    """An MLflow run in a local SQLite store, or at $MLFLOW_TRACKING_URI."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path) -> None:
        self._mlflow = _mlflow(folder)
        _choose_experiment(self._mlflow, folder)
        self.id = self._mlflow.start_run(run_name=name).info.run_id
        self._mlflow.log_params(flat(settings))

    def log(self, step: int, values: dict[str, float]) -> None:
        self._mlflow.log_metrics(values, step=step)

    def finish(self, record: Record) -> None:
        self._mlflow.log_metrics({f"run/{name}": value for name, value in _numbers(record.summary).items()})
        self._mlflow.set_tags({f"best_checkpoint.{name}": value for name, value in record.best.items()})
        self._mlflow.log_dict(record.summary | {"best_checkpoint": record.best}, "run.json")
        if record.predictions is not None:
            self._mlflow.log_text(record.predictions.to_csv(index=False), "predictions.csv")
        self._mlflow.end_run()

    def stop(self, failed: bool) -> None:
        self._mlflow.end_run("FAILED" if failed else "KILLED")

    @staticmethod
    def add(folder: Path, run: str, values: dict[str, Any]) -> None:
        client = _mlflow(folder).MlflowClient()
        for name, value in _numbers(values).items():
            client.log_metric(run, name, value)


class WandbMirror:
    """A Weights & Biases run; offline, under <folder>/wandb, without a key."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path) -> None:
        self._wandb = import_module("wandb")
        self._run = _wandb_run(self._wandb, folder, name=name, config=settings)
        self.id = self._run.id

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def finish(self, record: Record) -> None:
        if record.predictions is not None:
            self._run.log({"predictions": self._wandb.Table(dataframe=record.predictions)})
        self._run.summary.update(record.summary | {"best_checkpoint": record.best})
        self._run.finish()

    def stop(self, failed: bool) -> None:
        self._run.finish(exit_code=1)

    @staticmethod
    def add(folder: Path, run: str, values: dict[str, Any]) -> None:
        reopened = _wandb_run(import_module("wandb"), folder, id=run, resume="allow")
        reopened.summary.update(values)
        reopened.finish()


KINDS: dict[str, Callable[..., Mirror]] = {"mlflow": MlflowMirror, "wandb": WandbMirror}


def remember(folder: Path, weights_md5: str, ids: dict[str, str]) -> None:
    """Keep the ids of a run's mirrors, {mirror: id}, for who knows its weights."""
    write_json(_ids_file(folder, weights_md5), ids)


def add_results(folder: Path, weights_md5: str, values: dict[str, Any]) -> None:
    """Add values to the mirrored runs that made these weights; nothing to do where no mirror was on."""
    file = _ids_file(folder, weights_md5)
    for name, run in (read_json(file) if file.exists() else {}).items():
        attempt(name, partial(KINDS[name].add, folder, run, values), Hand(), STARTS)  # type: ignore[attr-defined]


class Hand:
    """Who writes to one mirror: a thread, since a server that never answers would hold up the training for minutes.

    One thread for all of a run, because MLflow's run belongs to the thread that began it. It ends with the process.
    """

    def __init__(self) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        self._acts: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[tuple[Any, Exception | None]]]] = SimpleQueue()
        self._left = False
        threading.Thread(target=self._work, daemon=True, name="mirror").start()

    def do(self, act: Callable[[], T], seconds: float) -> T:
        """What the act returns. Raises what it raises, and TimeoutError where it takes longer: then nobody listens."""
        outcome: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
        self._acts.put((act, outcome))
        try:
            result, error = outcome.get(timeout=seconds)
        except Empty:
            self._left = True
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        if error:
            raise error
        return cast(T, result)

    def _work(self) -> None:
        while not self._left:
            act, outcome = self._acts.get()
            result, error = None, None
            try:
                result = act()
            except Exception as raised:
                error = raised
            if self._left and isinstance(result, MlflowMirror | WandbMirror):  # too late: another is begun
                with suppress(Exception):
                    result.stop(failed=True)
            outcome.put((result, error))


def attempt(mirror: str, act: Callable[[], T], hand: Hand, seconds: float = ACTS) -> T | None:
    """What the act returns. A mirror talks to other people's servers and files: what goes wrong there is said, the run
    goes on, and the result is None."""
    try:
        return hand.do(act, seconds)
    except Exception as error:
        words = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
        print(f"{mirror} failed and is left out from here on: {words}", flush=True)
        return None


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"model": {"dropout": 0.1}} -> {"model.dropout": 0.1}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _ids_file(folder: Path, weights_md5: str) -> Path:
    return folder / "mirrored" / f"{weights_md5}.json"


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in flat(values).items() if isinstance(value, int | float)}


def _mlflow(folder: Path) -> ModuleType:
    mlflow = import_module("mlflow")
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}")
    return mlflow


def _choose_experiment(mlflow: ModuleType, folder: Path) -> None:
    """The project's, made where it is new; a local store keeps its files beside itself, not in a DVC workspace."""
    if mlflow.get_tracking_uri().startswith("sqlite:") and mlflow.get_experiment_by_name(_PROJECT) is None:
        with suppress(mlflow.MlflowException):  # another run has made it in this moment
            mlflow.create_experiment(_PROJECT, artifact_location=(folder / "artifacts").resolve().as_uri())
    mlflow.set_experiment(_PROJECT)


def _wandb_run(wandb: ModuleType, folder: Path, **settings: Any) -> Any:
    mode = "online" if os.environ.get("WANDB_API_KEY") else "offline"
    quiet = wandb.Settings(silent=True, init_timeout=ACTS, login_timeout=ACTS, finish_timeout=ACTS)
    return wandb.init(project=_PROJECT, dir=str(folder), mode=mode, settings=quiet, **settings)
