"""Settings: what a run had set beside its axes, and which runs may therefore share a curve.

A curve varies size alone. A run with other settings (more epochs, another calibration) is a variant: it has a curve of
its own, and never takes the place of a run on another one.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from finscale.config import Block, Source
from finscale.errors import InputError
from finscale.scaling.ledger import AXES, SINGLE, study_name
from finscale.storage import read_json

SETTINGS_FILE = "settings.json"  # beside the ledger: {digest: settings}

Settings = dict[str, Any]  # dotted key -> value, {"train.epochs": 30}


class SettingsBlocks(Block):
    """The blocks of params.yaml that `settings_of` looks into, as they stand there: `configure` checks them."""

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
    "data.accepted", "dataset.min_rows", "dataset.min_positives",  # they refuse a run, and change none
    "train.checkpoint", "train.thermal", "train.tracking",  # as in finscale/training/run.py
    # How the same sums are computed. Large models need them set otherwise than small ones on the same curve.
    "train.device", "train.threads", "train.micro_batch", "train.recompute", "train.compile",
    "train.graphs",
    "tune.storage", "tune.heartbeat_seconds",
)  # fmt: skip

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # PyYAML takes 1e-05, as DVC writes it, for text
_SUFFIX = 6  # digits of a digest that name a variant


def settings_of(params: Mapping[str, Any]) -> Settings:
    """What in a params.yaml can change the test loss beside the axes, seed and scheme.

    Split dates and the simulated market count only where they are read, `tune` only where training takes its result.
    The keys of the dates name their source, so that runs of several sources can agree on all else.
    """
    source, train = params["source"], params.get("train", {})
    scheme = params.get("evaluation", {}).get("scheme", SINGLE)
    dates = "bundled" if source == "bundled" else "live"  # finscale.data.splits.SplitConfig.of

    def counts(key: str) -> bool:
        if any(key == name or key.startswith(f"{name}.") for name in NOT_SETTINGS):
            return False
        if key.startswith("dataset.split."):
            return scheme == SINGLE and key.startswith(f"dataset.split.{dates}.")
        if key.startswith("data.simulated."):
            return bool(source == "simulated")
        return not key.startswith("tune.") or bool(train.get("from_tune"))

    return {key: value for key, value in sorted(flat(params).items()) if counts(key)}


def settings_of_all_sources(params: Mapping[str, Any]) -> Settings:
    """Those that runs of any source and scheme would have from this params.yaml: what all curves are compared with."""
    told: Settings = {}
    for source in get_args(Source):
        told |= settings_of({**params, "source": source, "evaluation": {"scheme": SINGLE}})
    return told


def digest_of(settings: Settings) -> str:
    """12 hexadecimal digits that stand for these settings in the ledger."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def agree(one: Settings, other: Settings) -> bool:
    """Equal in every key that both have: a key that came later, with a default as before, parts no runs."""
    return all(one[key] == other[key] for key in one.keys() & other.keys())


def same_settings(digests: Sequence[str], known: Mapping[str, Settings], settings: Settings) -> list[bool]:
    """Whether each run of the ledger had these settings. Of older runs, with '' for a digest, nobody knows: no.

    Raises InputError for a digest that `known` lacks.
    """
    return [bool(digest) and agree(_known(digest, known), settings) for digest in digests]


def read_settings(path: Path) -> dict[str, Settings]:
    """{digest: settings}, empty where the file does not exist yet. Raises InputError where an entry was changed."""
    known: dict[str, Settings] = read_json(path) if path.exists() else {}
    if changed := [digest for digest, settings in known.items() if digest_of(settings) != digest]:
        raise InputError(f"{path}: {', '.join(changed)} is no digest of what stands there; `git checkout {path}`")
    return known


@dataclass
class Variant:
    """Runs whose settings agree. name: '' for the plain one, else six digits of its oldest run's digest."""

    name: str
    settings: Settings  # of all its runs together
    runs: int = 0


def variants_of(
    digests: Sequence[str], known: Mapping[str, Settings], today: Settings | None = None, free: Sequence[str] = ()
) -> dict[str, Variant]:
    """Digest -> variant. Any two runs of one variant agree in all settings but the `free` ones.

    digests: the ledger's column, oldest first; '' (older rows) counts as of the plain variant. today: the settings of
    the plain variant; None: the variant with most runs is the plain one, of equals the oldest. Each digest joins the
    first variant that it agrees with, so that without `today` no new row moves an old one. Raises InputError for a
    digest that `known` lacks.
    """

    def fixed(settings: Settings) -> Settings:
        return {key: value for key, value in settings.items() if key not in free}

    variants = [] if today is None else [Variant("", fixed(today))]
    found: dict[str, Variant] = {}
    for digest, runs in Counter(one for one in digests if one).items():
        own = fixed(_known(digest, known))
        variant = next((one for one in variants if agree(one.settings, own)), None)
        if variant is None:
            variant = Variant(digest[:_SUFFIX], own)
            variants.append(variant)
        variant.settings |= own
        variant.runs += runs
        found[digest] = variant
    if today is None and variants:
        max(variants, key=lambda one: one.runs).name = ""
    return found | {"": next((one for one in variants if not one.name), Variant("", {}))}


def name_curves(
    rows: pd.DataFrame, known: Mapping[str, Settings], today: Settings | None = None, free: Sequence[str] = ()
) -> pd.DataFrame:
    """Ledger rows with three more columns, and arguments as of variants_of.

    experiment: the curve that a row is on, ledger.study_name and for another variant than the plain one '-1f3a9c'.
    variant: '' or '1f3a9c', the same on all curves. differs: what it sets otherwise than the plain one.
    """
    variants = variants_of(rows["settings"].tolist(), known, today, free)
    of_row, plain = [variants[digest] for digest in rows["settings"]], variants[""].settings
    names = [study_name(row) for row in rows.to_dict("records")]
    return rows.assign(
        experiment=[f"{name}-{one.name}" if one.name else name for name, one in zip(names, of_row, strict=True)],
        variant=[one.name for one in of_row],
        differs=[_difference(one.settings, plain) for one in of_row],
    )


def _known(digest: str, known: Mapping[str, Settings]) -> Settings:
    if digest not in known:
        raise InputError(f"results/{SETTINGS_FILE} lacks {digest}, which the ledger names; `git checkout` has it")
    return known[digest]


def _difference(settings: Settings, plain: Settings) -> str:
    """'train.epochs=60, train.patience=60', in the order of the keys."""
    unlike = (key for key in sorted(settings) if key in plain and settings[key] != plain[key])
    return ", ".join(f"{key}={settings[key]}" for key in unlike)


def flat(block: Mapping[str, Any], prefix: str = "") -> Settings:
    """Nested blocks as dotted keys, values in the one form in which settings are compared."""
    told: Settings = {}
    for key, value in block.items():
        told |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": _plain(value)}
    return told


def _plain(value: Any) -> Any:
    """One form for values that YAML has several for: 60.0 and 60, 1e-05 and 0.00001, a date and its text."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
