"""The objective: what a trial's hyper-parameters are worth.

The best epoch's validation loss, averaged over seeds. Test rows are out of reach: the rows hold none. A trial's run
keeps its states in a folder named by its values, so that a retried trial goes on where the killed one stopped.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from finscale.data.rows import Rows
from finscale.data.windows import Windows, development_windows
from finscale.errors import InputError
from finscale.search.candidate import Candidate, UnbuildableError, make_candidate, settings_of
from finscale.search.space import SearchSpace, Value
from finscale.training.config import TrainConfig
from finscale.training.device import Compute
from finscale.training.initial import initial_model
from finscale.training.interrupt import StopRequest
from finscale.training.loop import Trainer
from finscale.training.mirrors import Record
from finscale.training.progress import DivergedError, Epoch, FitResult
from finscale.training.resume import SavedRun, claim, run_key
from finscale.training.target import Target
from finscale.training.thermal import ThermalGuard
from finscale.training.tracking import Tracker

_TOLD = ("shape", "losses", "best_epochs")


@dataclass(frozen=True)
class Problem:
    """What stays the same over a study."""

    rows: pd.DataFrame | Rows  # development rows
    base: TrainConfig  # what the space does not vary
    budget: int
    binary: bool
    seeds: tuple[int, ...]
    compute: Compute


class Objective:
    """Called with a trial, trains it and returns its loss; raises TrialPruned for what is not worth finishing."""

    def __init__(self, space: SearchSpace, problem: Problem, scratch: Path, tracking: Path) -> None:
        self.space, self.problem, self._scratch, self._tracking = space, problem, scratch, tracking
        self.stop = StopRequest()
        self.guard: ThermalGuard | None = None
        if problem.base.pretrain.epochs:
            raise InputError(
                f"params.yaml: train.pretrain.epochs = {problem.base.pretrain.epochs}: a search trains without "
                "pretraining; set it to 0 to search, and back to train with what was found"
            )
        self._windows: dict[int, dict[str, Windows]] = {}
        for length in {problem.base.model.context_length, *_lengths(space)}:
            self._windows_of(length)  # refused now rather than in the fiftieth trial

    def __call__(self, trial: optuna.Trial) -> float:
        return self.evaluate(trial, self.space.sample(trial))

    def evaluate(self, trial: optuna.Trial, values: dict[str, Value]) -> float:
        """Train sampled values with every seed; the mean of the best validation losses."""
        try:
            candidate = self._candidate(values)
        except UnbuildableError as error:
            trial.set_user_attr("unbuildable", str(error))
            raise optuna.TrialPruned(str(error)) from None
        trial.set_user_attr("settings", settings_of(candidate, values))
        trial.set_user_attr("shape", asdict(candidate.shape))
        key = run_key({"values": values, "base": self.problem.base.model_dump(mode="json")}, {})
        with claim(self._scratch, key) as folder:
            try:
                results = [self._train(trial, candidate, seed, folder) for seed in self.problem.seeds]
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                self._forget(folder)
                raise optuna.TrialPruned("training diverged") from None
            except optuna.TrialPruned:
                self._forget(folder)
                raise
            self._forget(folder)
        trial.set_user_attr("losses", [result.validation_loss for result in results])
        trial.set_user_attr("best_epochs", [result.best_epoch for result in results])
        trial.set_user_attr("training_seconds", self._training_seconds)
        return sum(result.validation_loss for result in results) / len(results)

    def _candidate(self, values: dict[str, Value]) -> Candidate:
        self._training_seconds = 0.0
        any_windows = next(iter(self._windows.values()))["train"]
        problem = self.problem
        return make_candidate(values, problem.base, problem.budget, any_windows.channels, len(any_windows))

    def _train(self, trial: optuna.Trial, candidate: Candidate, seed: int, folder: Path) -> FitResult:
        problem, config = self.problem, candidate.config
        data = self._windows_of(config.model.context_length)
        target = Target.of(data["train"], problem.binary)
        network = initial_model(candidate.shape, config, problem.budget, data["train"], target, seed)
        network.to(problem.compute.device)
        trainer = Trainer(network, data["train"], data["validation"], target, config, problem.compute, seed)
        trainer.saved = SavedRun(folder / f"seed-{seed}", config.checkpoint.keep)
        trainer.guard, trainer.stop = self.guard, self.stop
        tracker = self._tracker(trial, seed, config)
        # Later seeds only refine a trial that has survived: the median is one of first seeds.
        pruning = seed == problem.seeds[0]

        def follow(epoch: Epoch) -> None:
            if tracker:
                tracker.log(epoch)
            if pruning:
                trial.report(epoch.validation_loss, epoch.epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned(f"worse than the median at epoch {epoch.epoch}")

        before = time.perf_counter()
        try:
            result = trainer.fit(follow)
        finally:
            self._training_seconds += time.perf_counter() - before
            if tracker:
                tracker.finish(Record({"params": dict(trial.params), "trial": trial.number, "seed": seed}))
        return result

    def _windows_of(self, length: int) -> dict[str, Windows]:
        """Windows of a context length, on the very days of every other length."""
        if length not in self._windows:
            device = self.problem.compute.device
            made = development_windows(self.problem.rows, length, device, self.problem.base.validation_windows)
            for known in self._windows.values():
                if not all(made[split].keys.equals(known[split].keys) for split in made):
                    raise InputError(
                        f"tune: context lengths {length} and {known['train'].context_length} see other days"
                    )
            self._windows[length] = made
        return self._windows[length]

    def _tracker(self, trial: optuna.Trial, seed: int, config: TrainConfig) -> Tracker | None:
        """The mirrors that are switched on; DVCLive's log of a trial lies with its states."""
        if not (config.tracking.mlflow or config.tracking.wandb):
            return None
        name = f"{trial.study.study_name}-{trial.number}-{seed}"
        log = self._scratch / "logs" / f"{trial.number}-{seed}"
        settings = trial.params | {"trial": trial.number, "seed": seed}
        return Tracker(log, name, settings, config.tracking, self._tracking, self.problem.compute.device)

    def _forget(self, folder: Path) -> None:
        SavedRun(folder, keep=1).remove()


def create_objective(space: SearchSpace, problem: Problem, scratch: Path, tracking: Path | None = None) -> Objective:
    """The objective of a study whose trials keep their unfinished runs under `scratch`.

    tracking: the folder of the local MLflow and W&B stores, where they are switched on; <scratch>/tracking by default.
    Raises InputError where a context length of the space reaches back further than the rows do, so that all trials
    are compared on the same days.
    """
    return Objective(space, problem, scratch, tracking or scratch / "tracking")


def _lengths(space: SearchSpace) -> list[int]:
    name = "model.context_length"
    return [int(value) for value in space[name].extremes] if name in space else []


def summary_of(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """A trial as results tell it."""
    about: dict[str, Any] = {key: trial.user_attrs[key] for key in _TOLD if key in trial.user_attrs}
    return {"number": trial.number, "value": trial.value, "params": trial.params, **about}
