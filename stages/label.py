"""label: bars -> data/processed/labels.parquet

Reads  data/interim/bars.parquet   (prices, never normalised)
Writes data/processed/labels.parquet  date, asset, label, exit, last_known
Why    labels are computed once, from prices, so that no scaling can touch them.
"""

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Horizon, Task, Timescale, load_params
from finscale.data.bars import bar_days
from finscale.data.config import LabelConfig
from finscale.data.labels import horizon_on
from finscale.data.labels import label as label_asset
from finscale.storage import read_parquet, write_parquet
from stages.paths import BARS, LABELS


class Params(Block):
    timescale: Timescale
    task: Task
    horizon: Horizon
    label: LabelConfig


def label(bars: pd.DataFrame, params: Params) -> pd.DataFrame:
    horizon = horizon_on(params.timescale, params.horizon)
    tables = []
    for asset, own in bars.groupby("asset", sort=True):
        dated = own.set_index("date")
        days = bar_days(params.timescale, pd.DatetimeIndex(dated.index))
        labels = label_asset(dated, params.task, horizon, params.label.price, days)
        tables.append(labels.assign(asset=asset))
    return pd.concat(tables, ignore_index=True)[["date", "asset", "label", "exit", "last_known"]]


def main() -> None:
    params = load_params(Params)
    labels = label(read_parquet(BARS), params)
    write_parquet(LABELS, labels)
    print(f"label: {len(labels)} labels for {params.task}, horizon {params.horizon}, mean {labels['label'].mean():.4f}")


if __name__ == "__main__":
    run(main)
