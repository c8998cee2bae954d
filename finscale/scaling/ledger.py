"""The ledger: one row per finished experiment, keyed by all that can change its result."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.evaluation.score_names import bounds, correlations
from finscale.identity import SHARES, SINGLE, axis_word
from finscale.scaling.schema import COUNTED, read_rows
from finscale.storage import read_text, write_csv

AXES = (
    "source", "assets", "symbols", "history", "quality", "timescale", "tier", "task", "horizon", "budget", "seed",
)  # fmt: skip
_FROM_OUTSIDE = ("directory", "live")  # sources whose prices no setting tells: what a folder or a server had that day
_MARKET = 6  # digits of the hash of the raw data that name a market
# Fixed along a curve over budgets: losses on other days, or pooled over folds, belong to another curve. So do runs with
# other settings, which finscale/scaling/settings.py tells apart.
STUDY_AXES = (*(axis for axis in AXES if axis not in ("budget", "seed")), "scheme")

_RUN = (
    "params_total", "params_embedding", "params_body", "params_head", "channels", "flops_per_window", "train_flops",
    "train_windows", "windows_seen", "tokens_seen", "epochs_run", "best_epoch", "validation_loss",
)  # fmt: skip
_LATER = ("train_loss", "unique_windows", "passes", "pretrain_windows")  # what older code did not record
_SCORES = ("accuracy", "precision", "recall", "f1")  # a regression has but the first
_COMPUTE = ("device", "precision", "threads", "torch")
_RUNTIME = ("train_seconds", "windows_per_second")


def experiment_key(params: dict[str, Any], code: str, data: str) -> str:
    """Hash of the whole configuration, the code that it runs and the raw data that it reads."""
    told = json.dumps({"params": params, "code": code, "data": data}, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def make_row(
    key: str, provenance: dict[str, str], experiment: dict[str, Any], runtime: dict[str, Any]
) -> dict[str, Any]:
    """One ledger row from what `evaluate` and `train` wrote.

    provenance: name, commit, code, data, settings (their digest), timestamp. experiment: metrics/experiment.json.
    """
    scores = experiment["scores"]["models"]
    other = experiment["scores"]["other"]
    baselines = {f"{name}_loss": score["loss"]["value"] for name, score in scores.items() if name != "model"}
    return {
        "key": key,
        **{axis: _axis(experiment["axes"], axis) for axis in AXES},
        "scheme": experiment["axes"].get("scheme", SINGLE),  # experiments of older code have none
        **{name: experiment["run"][name] for name in _RUN},
        **{name: experiment["run"][name] for name in _LATER if name in experiment["run"]},
        "test_rows": experiment["test_rows"],
        **({"train_symbols": experiment["train_symbols"]} if "train_symbols" in experiment else {}),
        **_second_test(experiment.get("unseen")),
        **bounds(scores["model"], ("loss", "skill"), "test_"),
        **correlations(experiment, "test_"),
        **baselines,
        **{f"test_{name}": other[name]["value"] for name in _SCORES if name in other},
        "prediction_std": experiment["prediction_std"],
        "collapsed": experiment["collapsed"],
        **{name: experiment["compute"][name] for name in _COMPUTE},
        **({"machine": experiment["compute"]["machine"]} if "machine" in experiment["compute"] else {}),
        **{name: runtime[name] for name in _RUNTIME},
        **provenance,
    }


def _second_test(unseen: Mapping[str, Any] | None) -> dict[str, Any]:
    """The test on symbols that never trained, where there was one."""
    if not unseen:
        return {}
    scores = unseen["scores"]["models"]
    interval = bounds(scores["model"], ("loss", "skill"), "unseen_") | correlations(unseen, "unseen_")
    base = {"unseen_base_rate_loss": scores["base_rate"]["loss"]["value"]}
    return {"unseen_symbols": unseen["symbols"], "unseen_rows": unseen["rows"]} | interval | base


def _axis(axes: Mapping[str, Any], axis: str) -> Any:
    """Experiments of older code took all symbols and all years."""
    return axis_word(axes.get(axis)) if axis in SHARES else axes[axis]


@dataclass(frozen=True)
class Ledger:
    """rows: one per run. faults: what was set aside when it was read, each with its line, key and remedy."""

    rows: pd.DataFrame
    faults: tuple[str, ...] = ()


def open_ledger(path: Path) -> Ledger:
    """The ledger, empty where the file does not exist yet. Axes and hashes are kept as text.

    Rows from before there was more than one scheme of evaluation are `single`, those from before a part of the symbols
    or years could be asked for had `all`; those that do not tell their settings
    have `unknown` ones (schema.UNKNOWN).
    """
    if not path.exists():
        return Ledger(pd.DataFrame(columns=["key", *AXES, "scheme", "settings"]))
    read = read_rows(read_text(path), path.as_posix())
    columns = list(dict.fromkeys([*read.columns, "key", *AXES, "scheme", "settings"]))
    return Ledger(pd.DataFrame(read.rows, columns=columns), tuple(read.faults))


def read_ledger(path: Path) -> pd.DataFrame:
    """The rows of open_ledger; what had to be set aside is told on stderr, once."""
    ledger = open_ledger(path)
    for fault in ledger.faults:
        _warn(fault)
    return ledger.rows


@cache
def _warn(fault: str) -> None:
    print(f"warning: {fault}", file=sys.stderr)


def add_rows(ledger: pd.DataFrame, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The ledger with those rows whose key it lacks, appended in order of time.

    An experiment that is there under another key is not added again: what counts as its code may be told otherwise now.
    """
    known, runs = set(ledger["key"]), {_run(row) for row in ledger.to_dict("records")}
    new = {row["key"]: row for row in sorted(rows, key=lambda row: row["timestamp"])}
    fresh = [row for key, row in new.items() if key not in known and _run(row) not in runs]
    if not fresh:
        return ledger
    return pd.DataFrame(fresh) if ledger.empty else pd.concat([ledger, pd.DataFrame(fresh)], ignore_index=True)


def _run(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What no two experiments share: the moment of its commit, under its name, on one baseline."""
    return tuple(str(row.get(part, "")) for part in ("name", "timestamp", "commit"))


def write_ledger(path: Path, rows: pd.DataFrame) -> None:
    """The rows as open_ledger reads them; counts are whole numbers, also where not every row has one."""
    write_csv(path, rows.astype({name: "Int64" for name in COUNTED if name in rows}))


def market_of(source: str, data: str) -> str:
    """'data26a847' where the source is a folder or a server, whose prices only their hash tells; else ''.

    data: the ledger's column, DVC's hash of data/raw.
    """
    return f"data{data[:_MARKET]}" if source in _FROM_OUTSIDE else ""


def configurations_tried(ledger: pd.DataFrame, axes: dict[str, Any], same_settings: Sequence[bool]) -> dict[str, int]:
    """How often the study has looked: all runs, and those that were judged by the same test labels.

    ledger: results/ledger.csv. axes: those of this run, which counts as one more where the ledger lacks it.
    same_settings: per row whether its settings are this run's: one with other epochs is another try. Runs of all
    settings and every evaluation scheme count: their test days overlap.
    """
    same = pd.Series(True, index=ledger.index)
    for axis in ("source", "assets", "timescale", "task", "horizon"):
        same &= ledger[axis].astype(str) == str(axes[axis])
    mine = same & np.array(same_settings, bool)
    for axis in (*SHARES, "quality", "tier", "budget", "seed", "scheme"):
        mine &= ledger[axis].astype(str) == axis_word(axes[axis])
    missing = 0 if mine.any() else 1
    return {"in_ledger": len(ledger) + missing, "on_these_labels": int(same.sum()) + missing}
