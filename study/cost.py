"""What an experiment costs on this machine: FLOPs by count, time by what runs like it have taken.

Walk-forward evaluation trains one model per fold, so that a run costs as much as its folds together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.calendar import sessions
from finscale.config import Block, Budget, FeatureTier, Source, check_params, parse_budget
from finscale.data.config import DatasetConfig, EvaluationConfig
from finscale.data.splits import Fold, single_fold
from finscale.data.walk_forward import walk_forward_folds
from finscale.indicators.catalogue import COUNTS
from finscale.model.shape import count, flops_per_window, solve
from finscale.scaling.ledger import read_ledger
from finscale.sources import bundled
from finscale.sources.config import DataConfig
from finscale.storage import read_json
from finscale.training.config import TrainConfig
from study.experiments import params_with

PARAMS = Path("params.yaml")
LEDGER = Path("results/ledger.csv")
DATASET_METRICS = Path("data/processed/dataset.json")

_BYTES_PER_PARAMETER = 20  # fp32 weights, gradients, two moments, and the best epoch's copy


class Planned(Block):
    """What of params.yaml decides the cost of a run."""

    source: Source
    tier: FeatureTier
    budget: Budget
    data: DataConfig
    dataset: DatasetConfig
    evaluation: EvaluationConfig
    train: TrainConfig


@dataclass(frozen=True)
class Cost:
    """Of one run that trains for all its epochs in every fold; early stopping makes it cheaper."""

    parameters: int
    folds: int  # models trained: 1 unless evaluation.scheme is walk_forward
    flops: float  # of all folds together
    seconds: float  # likewise; NaN while the ledger holds no run to compare with
    gigabytes: float  # weights, gradients and optimizer of one model, folds follow each other; activations come on top


def planned(settings: Mapping[str, Any]) -> Planned:
    """params.yaml with these axes and dotted settings in place of its own."""
    values = params_with(settings)
    return check_params(Planned, {key: value for key, value in values.items() if key in Planned.model_fields}, PARAMS)


def estimate(settings: Mapping[str, Any]) -> Cost:
    """The cost of an experiment. settings: its axes, and dotted keys for what else it sets otherwise than params.yaml.

    Its rows per session are taken to be those of the last run here, as is the first day where training begins with
    the data. Raises InputError for settings that are not allowed, and for folds that do not fit between the days.
    """
    run = planned(settings)
    config, channels, windows = run.train, COUNTS[run.tier], train_windows(run, read_json(DATASET_METRICS))
    shape = solve(parse_budget(run.budget), config.model, channels)
    parameters, per_window = count(shape, config.model, channels).total, flops_per_window(shape, config.model, channels)
    flops = 3.0 * per_window * sum(windows) * config.epochs
    return Cost(parameters, len(windows), flops, flops / _speed(per_window), parameters * _BYTES_PER_PARAMETER / 1e9)


def planned_folds(run: Planned) -> list[Fold]:
    """The folds that a run would have on the exchange's calendar. Raises InputError where the first does not fit."""
    if run.evaluation.scheme == "single":
        return [single_fold(run.dataset.split.of(run.source))]
    return walk_forward_folds(_days(run), run.source, run.evaluation.walk_forward)


def train_windows(run: Planned, measured: Mapping[str, Mapping[str, Any]]) -> list[int]:
    """Training windows of each fold. measured: data/processed/dataset.json of the last run here."""
    days, test = _days(run), measured["test"]
    # Test days belong to one fold each: those of training are counted once per fold that has them.
    rows_per_session = test["rows"] / len(sessions(pd.Timestamp(test["first"]), pd.Timestamp(test["last"])))
    rolling = run.evaluation.scheme == "walk_forward" and run.evaluation.walk_forward.window == "rolling"
    begins = days[0] if rolling else pd.Timestamp(measured["train"]["first"])
    trained = [fold.periods["train"] for fold in planned_folds(run)]
    counts = [int(((days >= max(begins, one.first)) & (days <= one.last)).sum()) for one in trained]
    return [round(count * rows_per_session) for count in counts]


def _days(run: Planned) -> pd.DatetimeIndex:
    last = pd.Timestamp(run.data.end)
    if run.source == "bundled":
        last = min(last, bundled.fetch("SP500")["date"].max())
    return sessions(pd.Timestamp(run.data.start), last)


def _speed(flops_per_window: int) -> float:
    """Training FLOPs a second of the ledger's run whose windows cost most nearly the same."""
    ledger = read_ledger(LEDGER)
    if ledger.empty:
        return float("nan")
    nearest = (np.log(ledger["flops_per_window"]) - np.log(flops_per_window)).abs().idxmin()
    return float(ledger["train_flops"][nearest] / ledger["train_seconds"][nearest])
