"""Settings: what a run had set beside its axes, and which runs may therefore share a curve.

A curve varies size alone. A run with other settings (more epochs, another calibration) is a variant: it has a curve of
its own, and never takes the place of a run on another one. What a variant is called by are the plain settings: those of
the committed params.yaml when a setting was first met. They stand in results/settings.json and do not move with
today's params.yaml, so that a name means the same runs on any day.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.config import ALL, Block, flat
from finscale.data.config import LONG_BARS
from finscale.errors import InputError
from finscale.identity import SINGLE
from finscale.scaling.ledger import AXES
from finscale.storage import read_json

SETTINGS_FILE = "settings.json"  # beside the ledger: {digest: settings}, and PLAIN
PLAIN = "plain"  # the entry that names are given by: a run's variant is its difference from these settings

Settings = dict[str, Any]  # dotted key -> value, {"train.epochs": 30}


class SettingsBlocks(Block):
    """The blocks of params.yaml that `settings_of` looks into, as they stand there: `configure` checks them."""

    universe: dict[str, Any]
    data: dict[str, Any]
    features: dict[str, Any]
    label: dict[str, Any]
    dataset: dict[str, Any]
    tune: dict[str, Any]
    train: dict[str, Any]
    calibrate: dict[str, Any]


# Blocks and keys of params.yaml that no test loss depends on, or that the ledger tells in a column of its own.
NOT_SETTINGS = (
    *AXES,
    "evaluation",  # the column `scheme`
    "baselines", "evaluate", "compare", "trade", "meta",  # they measure and draw what is there
    "data.directory", "data.vintage",  # a place and a day; the column `data` has the hash of what came from there
    "data.accepted", "universe.holes",  # they refuse a run, and change none
    "dataset.min_rows", "dataset.min_positives",
    "train.checkpoint", "train.thermal", "train.tracking",  # as in finscale/training/run.py
    # How the same sums are computed. Large models need them set otherwise than small ones on the same curve.
    "train.device", "train.threads", "train.micro_batch", "train.recompute", "train.compile",
    "train.graphs",
    "tune.storage", "tune.heartbeat_seconds",
)  # fmt: skip

PRECISION, AUTO = "train.precision", "auto"
PRECISIONS = (
    "bf16",
    "fp32",
)  # what `auto` may come to; first what it came to in the runs that names were first given by

_PRETRAIN = "train.pretrain."

_SUFFIX = 6  # digits of a digest that name a variant


def settings_of(params: Mapping[str, Any]) -> Settings:
    """What in a params.yaml can change the test loss beside the axes, seed and scheme.

    Split dates, the simulated market and how to pretrain count only where they are read, `tune` only where training
    takes its result.
    The keys of the dates name their source, so that runs of several sources can agree on all else.
    """
    source, train = params["source"], params.get("train", {})
    scheme = params.get("evaluation", {}).get("scheme", SINGLE)
    dates = "bundled" if source == "bundled" else "live"  # finscale.data.splits.SplitConfig.of
    long = "long." if params.get("timescale") in LONG_BARS else ""

    def counts(key: str) -> bool:
        if _never_counts(key):
            return False
        if key.startswith("dataset.split."):
            return scheme == SINGLE and key.startswith(f"dataset.split.{long}{dates}.")
        if key == "universe.draw":  # nothing is drawn where all symbols train
            return not (params.get("symbols") in (None, ALL) and not params["universe"].get("unseen"))
        if key.startswith("data.simulated."):
            return bool(source == "simulated")
        if key.startswith(_PRETRAIN) and key != f"{_PRETRAIN}epochs":
            return bool(train["pretrain"]["epochs"])
        return not key.startswith("tune.") or bool(train.get("from_tune"))

    return {key: value for key, value in sorted(flat(params).items()) if counts(key)}


def plain_settings_of(params: Mapping[str, Any]) -> Settings:
    """Every setting of this params.yaml, also those that its source and scheme do not read: what runs are told by."""
    return {key: value for key, value in sorted(flat(params).items()) if not _never_counts(key)}


def digest_of(settings: Settings) -> str:
    """12 hexadecimal digits that stand for these settings in the ledger."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def agree(one: Settings, other: Settings) -> bool:
    """Equal in every key that both have: a key that came later, with a default as before, parts no runs."""
    return all(one[key] == other[key] for key in one.keys() & other.keys())


def resolved(settings: Settings, precision: str) -> Settings:
    """Settings with what `auto` came to: runs in bf16 share a curve however that was asked for, those in fp32 do not.

    precision: the ledger's column, as training recorded it.
    """
    return settings | {PRECISION: precision} if settings.get(PRECISION) == AUTO else settings


def same_settings(ledger: pd.DataFrame, known: Mapping[str, Settings], settings: Settings) -> list[bool]:
    """Whether each run of the ledger had these settings, of `resolved`. Of runs with unknown ones nobody knows: no."""
    runs = zip(ledger["settings"], ledger["precision"], strict=True) if len(ledger) else ()
    return [one in known and agree(resolved(known[one], precision), settings) for one, precision in runs]


def read_settings(path: Path) -> dict[str, Settings]:
    """{digest: settings} and PLAIN, empty where the file does not exist yet.

    Raises InputError where the file is no JSON object of objects, or an entry is not what its digest stands for.
    """
    known = read_json(path) if path.exists() else {}
    if not isinstance(known, dict) or not all(isinstance(one, dict) for one in known.values()):
        raise InputError(f"{path}: expected {{digest: {{setting: value}}}}; `git checkout {path}`")
    changed = [digest for digest, settings in known.items() if digest not in (PLAIN, digest_of(settings))]
    if changed:
        raise InputError(f"{path}: {', '.join(changed)} is no digest of what stands there; `git checkout {path}`")
    return known


def difference(settings: Settings, plain: Settings, free: Sequence[str] = ()) -> Settings:
    """What these settings have otherwise than the plain ones, `free` keys aside.

    A key that the plain ones lack is no difference: `make collect` gives every key of a run its plain value.
    """
    return {
        key: value
        for key, value in sorted(settings.items())
        if key in plain and plain[key] != value and key not in free
    }


def variant_of(differs: Settings) -> str:
    """'' for no difference, else six digits that stand for it, the same on every curve and whatever else was run."""
    return digest_of(differs)[:_SUFFIX] if differs else ""


def in_words(differs: Settings) -> str:
    """'train.epochs=60, train.patience=60'."""
    return ", ".join(f"{key}={value}" for key, value in differs.items())


def _never_counts(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in NOT_SETTINGS)
