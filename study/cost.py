"""What an experiment costs on this machine: FLOPs by count, time by what runs like it have taken.

Walk-forward evaluation trains one model per fold, so that a run costs as much as its folds together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.calendar import sessions
from finscale.config import Budget, check_params
from finscale.data.bars import get_freq_string, resample_ohlcv
from finscale.data.selection import shortened
from finscale.data.splits import Fold, single_fold
from finscale.data.walk_forward import walk_forward_folds
from finscale.indicators.catalogue import features_of
from finscale.model.config import ModelConfig
from finscale.model.shape import count, flops_per_window, solve
from finscale.scaling.ledger import read_ledger
from finscale.sources import bundled
from finscale.sources.universes import members
from finscale.training.config import TrainConfig
from finscale.training.schedule import Schedule
from study.cells import Asked, judge
from study.experiments import params_with

PARAMS = Path("params.yaml")
LEDGER = Path("results/ledger.csv")

_BYTES_PER_PARAMETER = 20  # fp32 weights, gradients, two moments, and the best epoch's copy


class Planned(Asked):
    """What of params.yaml decides the cost of a run: its rows, its size and its training."""

    budget: Budget
    train: TrainConfig


@dataclass(frozen=True)
class Cost:
    """Of one run that sees all its windows in every fold; early stopping makes it cheaper."""

    parameters: int
    folds: int  # models trained: 1 unless evaluation.scheme is walk_forward
    flops: float  # of all folds together
    seconds: float  # likewise; NaN while the ledger holds no run to compare with
    gigabytes: float  # weights, gradients and optimizer of one model, folds follow each other; activations come on top
    refused: str = ""  # why the stage `dataset` will stop the run; then it costs nothing
    checked: bool = True  # whether that could be asked: prices that are to be downloaded are not there yet


def planned(settings: Mapping[str, Any]) -> Planned:
    """params.yaml with these axes and dotted settings in place of its own."""
    values = params_with(settings)
    return check_params(Planned, {key: value for key, value in values.items() if key in Planned.model_fields}, PARAMS)


def estimate(settings: Mapping[str, Any]) -> Cost:
    """The cost of an experiment. settings: its axes, and dotted keys for what else it sets otherwise than params.yaml.

    Training windows are counted on the prices at hand; where there are none, on the exchange's calendar. Raises
    InputError for settings that are not allowed, and for folds that do not fit between the days.
    """
    run = planned(settings)
    cell = judge(Asked.model_validate(run.model_dump(include=set(Asked.model_fields))))
    config, channels = run.train, len(features_of(run.tier, run.timescale, run.features.levels))
    windows = calendar_windows(run) if cell.windows is None else list(cell.windows)
    parameters, per_window = _size(run.budget, config.model.model_dump_json(), channels)
    flops = 3.0 * per_window * sum(Schedule.of(max(1, one), config).total for one in windows)
    seconds, gigabytes = flops / _speed(per_window), parameters * _BYTES_PER_PARAMETER / 1e9
    return Cost(parameters, len(windows), flops, seconds, gigabytes, cell.refused, cell.windows is not None)


@cache
def _size(budget: int, model: str, channels: int) -> tuple[int, int]:
    """Counted parameters, and FLOPs of a window."""
    config = ModelConfig.model_validate_json(model)
    shape = solve(budget, config, channels)
    return count(shape, config, channels).total, flops_per_window(shape, config, channels)


def planned_folds(run: Planned) -> list[Fold]:
    """The folds that a run would have on the exchange's calendar. Raises InputError where the first does not fit."""
    if run.evaluation.scheme == "single":
        return [single_fold(run.dataset.split.of(run.source, run.timescale))]
    return walk_forward_folds(_days(run), run.source, run.evaluation.walk_forward)


def calendar_windows(run: Planned) -> list[int]:
    """Training windows of each fold, if every price series began with data.start: an upper bound."""
    days = _days(run)
    flat = pd.DataFrame(1.0, days, ["open", "high", "low", "close", "volume"])
    bars = pd.DatetimeIndex(resample_ohlcv(flat, get_freq_string(run.timescale)).index)
    there = members(run.source, run.assets, "a", run.data.expanded()).symbols
    assets = min(run.symbols or len(there), len(there))
    trained = [shortened(fold, run.history).periods["train"] for fold in planned_folds(run)]
    return [int(((bars >= one.first) & (bars <= one.last)).sum()) * assets for one in trained]


def _days(run: Planned) -> pd.DatetimeIndex:
    last = pd.Timestamp(run.data.end)
    if run.source == "bundled":
        last = min(last, bundled.fetch("SP500")["date"].max())
    return sessions(pd.Timestamp(run.data.start), last)


@cache
def _pace() -> pd.DataFrame:
    return read_ledger(LEDGER)


def _speed(flops_per_window: int) -> float:
    """Training FLOPs a second of the ledger's run whose windows cost most nearly the same."""
    ledger = _pace()
    if ledger.empty:
        return float("nan")
    nearest = (np.log(ledger["flops_per_window"]) - np.log(flops_per_window)).abs().idxmin()
    return float(ledger["train_flops"][nearest] / ledger["train_seconds"][nearest])
