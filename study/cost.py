"""What an experiment costs on this machine: FLOPs by count, time by what runs like it have taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finscale.config import load_params, parse_budget
from finscale.indicators.catalogue import TIERS
from finscale.model.budget import count, flops_per_window, solve
from finscale.scaling.ledger import read_ledger
from finscale.storage import read_json
from stages.train import Params

LEDGER = Path("results/ledger.csv")
DATASET_METRICS = Path("metrics/dataset.json")

_BYTES_PER_PARAMETER = 20  # fp32 weights, gradients, two moments, and the best epoch's copy


@dataclass(frozen=True)
class Cost:
    """Of one run that trains for all its epochs; early stopping makes it cheaper."""

    parameters: int
    flops: float
    seconds: float  # NaN while the ledger holds no run to compare with
    gigabytes: float  # weights, gradients and optimizer; activations come on top


def estimate(axes: Mapping[str, Any]) -> Cost:
    """The cost of an experiment, its training split taken as large as that of the last run here."""
    config = load_params(Params).train
    channels, windows = len(TIERS[axes["tier"]]), read_json(DATASET_METRICS)["train"]["rows"]
    shape = solve(parse_budget(axes["budget"]), config.model, channels)
    parameters, per_window = count(shape, config.model, channels).total, flops_per_window(shape, config.model, channels)
    flops = 3.0 * per_window * windows * config.epochs
    return Cost(parameters, flops, flops / _speed(per_window), parameters * _BYTES_PER_PARAMETER / 1e9)


def _speed(flops_per_window: int) -> float:
    """Training FLOPs a second of the ledger's run whose windows cost most nearly the same."""
    ledger = read_ledger(LEDGER)
    if ledger.empty:
        return float("nan")
    nearest = (np.log(ledger["flops_per_window"]) - np.log(flops_per_window)).abs().idxmin()
    return float(ledger["train_flops"][nearest] / ledger["train_seconds"][nearest])
