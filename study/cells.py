"""What the stage `dataset` will say of an experiment, before anything is run: training windows, or why it refuses.

Asked of the stages' own functions, on the prices that are at hand without a network. Quality series and rates can only
shorten what the prices give; they are not looked at.
"""

import os
from dataclasses import dataclass
from functools import cache

import pandas as pd

from finscale.assets import Assets
from finscale.config import Block, FeatureTier, Horizon, Share, Source, Task, Timescale
from finscale.data.bars import adjust
from finscale.data.config import DatasetConfig, EvaluationConfig, LabelConfig, UniverseConfig
from finscale.data.dataset import join
from finscale.errors import InputError
from finscale.indicators.catalogue import NoUsableRowError, compute, drop_warmup
from finscale.indicators.config import FeaturesConfig, Levels
from finscale.sources.config import DataConfig
from finscale.sources.fetch import fetch
from finscale.sources.inputs import store_folder
from finscale.sources.store import RawStore
from finscale.sources.tables import Universe
from finscale.sources.universes import members
from stages import dataset, label
from stages.resample import resample


class Asked(Block):
    """What of params.yaml decides the rows of an experiment."""

    source: Source
    assets: Assets
    symbols: Share
    history: Share
    timescale: Timescale
    tier: FeatureTier
    task: Task
    horizon: Horizon
    universe: UniverseConfig
    data: DataConfig
    features: FeaturesConfig
    label: LabelConfig
    dataset: DatasetConfig
    evaluation: EvaluationConfig


@dataclass(frozen=True)
class Cell:
    """windows: training windows of each fold; None where no prices are at hand. refused: the stage's words, or ''."""

    windows: tuple[int, ...] | None
    refused: str = ""


def judge(asked: Asked) -> Cell:
    """What an experiment would be told. Nothing is downloaded, and nothing is written."""
    return _judged(asked.model_dump_json())  # text: blocks that hold dictionaries have no hash


@cache
def _judged(told: str) -> Cell:
    asked = Asked.model_validate_json(told)
    params = dataset.Params.model_validate(asked.model_dump(include=set(dataset.Params.model_fields)))
    data = asked.data.expanded().model_dump_json()
    try:
        if (daily := _daily(asked.source, asked.assets, data)) is None:
            return Cell(None)
        features = _features(asked.source, asked.assets, data, asked.tier, asked.timescale, asked.features.levels)
        of_labels = label.Params.model_validate(asked.model_dump(include=set(label.Params.model_fields)))
        joined = join(features, label.label(resample(daily, asked.timescale), of_labels))
        folds = dataset.plan(joined, params)
        dataset.check(joined, folds, params)
        trained = [int((dataset.rows_of(joined, fold, params)["split"] == "train").sum()) for fold in folds]
    except InputError as error:
        return Cell((), str(error))
    return Cell(tuple(trained))


@cache
def _daily(source: Source, assets: str, told: str) -> pd.DataFrame | None:
    """Adjusted daily bars of all assets, as the stage `resample` has them; None where they are not on this machine."""
    data = DataConfig.model_validate_json(told)
    universe = Universe(symbols=members(source, assets, "a", data).symbols)
    if source == "live" and not _stored(universe, data):
        return None
    prices = fetch(source, universe, "a", data, _store())
    table = pd.concat([adjust(one.frame).assign(asset=one.wanted.name) for one in prices])
    return table[["date", "asset", "open", "high", "low", "close", "volume"]]


def _store() -> RawStore:
    return RawStore(store_folder(os.environ))


def _stored(universe: Universe, data: DataConfig) -> bool:
    """Whether the raw store holds a data set's prices up to its end, so that no server is asked."""
    kept = _store().manifest()
    whole = kept[(kept["first"] <= f"{data.start}") & (kept["last"] >= f"{data.end}")]
    return set(universe.symbols) <= set(whole["series"])


@cache
def _features(
    source: Source, assets: str, told: str, tier: FeatureTier, timescale: Timescale, levels: Levels
) -> pd.DataFrame:
    """The features of all assets that have a row of them. Raises InputError where none has."""
    daily = _daily(source, assets, told)
    assert daily is not None
    parts, left_out = [], ""
    for asset, own in daily.groupby("asset", sort=True):
        bars = own.drop(columns="asset").set_index("date")
        try:
            kept = drop_warmup(compute(bars, tier, timescale, daily["date"].min(), levels), str(asset))
        except NoUsableRowError as error:
            left_out = str(error)
            continue
        parts.append(kept.reset_index().assign(asset=asset))
    if not parts:
        raise InputError(left_out)
    return pd.concat(parts, ignore_index=True)
