"""features: days -> data/interim/features.parquet

Reads  data/interim/daily.parquet
       data/interim/series.parquet    sentiment, VIX, search interest, interest rates: where the data set has them
Writes data/interim/features.parquet  date, asset and one column per feature, one row per bar of the timescale
       data/interim/features.json          first usable day per asset and tier
Why    everything a model sees, computed from the past alone; warm-up rows are dropped, never filled.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.cli import run
from finscale.config import FeatureAxes, load_params
from finscale.errors import InputError
from finscale.indicators.catalogue import NoUsableRowError, compute, drop_warmup, first_usable
from finscale.indicators.config import FeaturesConfig
from finscale.indicators.quality import economic_features, quality_features
from finscale.parent import stop_with_stage
from finscale.storage import join_arrow, parts_beside, read_parquet, write_arrow, write_json
from stages.paths import DAILY, FEATURES, SERIES

METRICS = Path("data/interim/features.json")
WORKERS = 2  # assets at a time; each takes about 0.4 GB at tier a2000


class Params(FeatureAxes):
    """What decides the features, and nothing else."""

    features: FeaturesConfig = FeaturesConfig()


def features(daily: pd.DataFrame, series: pd.DataFrame, start: pd.Timestamp, params: Params) -> pd.DataFrame:
    """Features of one asset on its own calendar, warm-up included. daily, series: indexed by date."""
    known = series.loc[: daily.index[-1]]
    tables = [
        compute(daily, params.tier, params.timescale, start, params.features.levels),
        quality_features(known, params.quality),
        economic_features(known),
    ]
    table = pd.concat([table.reindex(tables[0].index) for table in tables], axis=1)
    others = quality_features(known, params.features.needed(params.quality)).reindex(table.index)
    return table.where(others.notna().all(axis=1), np.nan) if params.features.days_of else table


def write_part(
    asset: str, daily: pd.DataFrame, series: pd.DataFrame, start: pd.Timestamp, params: Params, folder: Path
) -> dict[str, Any]:
    """One asset's features to a file of its own; returns what the metrics tell about it.

    An asset whose history does not meet that of the series has no rows: it is left out, and told.
    """
    table = features(daily, series, start, params)
    try:
        usable = drop_warmup(table, asset)
    except NoUsableRowError as error:
        return {"rows": 0, "left_out": str(error)}
    names = list(usable)
    write_arrow(folder / f"{asset}.arrow", usable.reset_index().assign(asset=asset)[["date", "asset", *names]])
    return {
        "rows": len(usable),
        "first": f"{usable.index[0]:%Y-%m-%d}",
        "last": f"{usable.index[-1]:%Y-%m-%d}",
        "first_per_tier": first_usable(table, params.tier),
    }


def write_parts(
    daily: pd.DataFrame, series: pd.DataFrame, params: Params, folder: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """All assets in turn, as soon as each is written; several are computed at a time where there are several."""
    start = daily["date"].min()
    days = {str(asset): own.drop(columns="asset").set_index("date") for asset, own in daily.groupby("asset", sort=True)}
    write = partial(write_part, series=series, start=start, params=params, folder=folder)
    if len(days) == 1:
        yield from ((asset, write(asset, own)) for asset, own in days.items())
        return
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), stop_with_stage, ("features",)) as pool:
        yield from zip(days, pool.map(write, days, days.values()), strict=True)


def write_features(path: Path, daily: pd.DataFrame, series: pd.DataFrame, params: Params) -> dict[str, Any]:
    """All assets to one file, a row group each, so that memory holds only those being computed."""
    told: dict[str, Any] = {}

    def finished(folder: Path) -> Iterator[Path]:
        for asset, facts in write_parts(daily, series, params, folder):
            told[asset] = facts
            if facts["rows"]:
                yield folder / f"{asset}.arrow"
        if not any(facts["rows"] for facts in told.values()):
            raise InputError("\n".join(facts["left_out"] for facts in told.values()))

    with parts_beside(path) as folder:
        join_arrow(path, finished(folder))
    return told


def main() -> None:
    params = load_params(Params)
    daily, series = read_parquet(DAILY), read_parquet(SERIES).set_index("date")
    told = write_features(FEATURES, daily, series, params)
    write_json(METRICS, {"tier": params.tier, "assets": told})
    for asset in told.values():
        if not asset["rows"]:
            print(f"warning: left out: {asset['left_out']}")
    used = [asset for asset in told.values() if asset["rows"]]
    rows, first = sum(asset["rows"] for asset in used), max(asset["first"] for asset in used)
    print(f"features: tier {params.tier} on {rows} rows of {len(used)} assets, all usable from {first}")


if __name__ == "__main__":
    run(main)
