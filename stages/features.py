"""features: bars -> data/interim/features.parquet

Reads  data/interim/bars.parquet
Writes data/interim/features.parquet  date, asset and one column per feature of the tier
Why    everything a model sees, computed from the past alone; warm-up rows are dropped, never filled.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.config import Block, FeatureTier, Quality, load_params
from finscale.indicators.catalogue import compute, drop_warmup
from finscale.storage import read_parquet, write_parquet

BARS = Path("data/interim/bars.parquet")
FEATURES = Path("data/interim/features.parquet")


class Params(Block):
    quality: Quality
    tier: FeatureTier


def features(bars: pd.DataFrame, tier: FeatureTier) -> pd.DataFrame:
    """Features of every asset, each on its own history."""
    tables = []
    for asset, own in bars.groupby("asset", sort=True):
        usable = drop_warmup(compute(own.set_index("date"), tier), str(asset))
        tables.append(usable.reset_index().assign(asset=asset))
    table = pd.concat(tables, ignore_index=True)
    return table[["date", "asset", *(name for name in table if name not in ("date", "asset"))]]


def main() -> None:
    params = load_params(Params)
    table = features(read_parquet(BARS), params.tier)
    write_parquet(FEATURES, table)
    first = table.groupby("asset")["date"].min().max()
    print(f"features: {table.shape[1] - 2} features on {len(table)} rows, all assets usable from {first:%Y-%m-%d}")


if __name__ == "__main__":
    run(main)
