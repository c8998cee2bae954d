"""resample: data/raw -> data/interim/bars.parquet

Reads  data/raw/*.parquet, once validated (metrics/validate.json)
Writes data/interim/bars.parquet  date, asset, open, high, low, close, volume
Why    one table of bars, adjusted for splits and dividends, at the timescale of the experiment.
"""

from pathlib import Path

import pandas as pd

from finscale.bars import adjust
from finscale.cli import run
from finscale.config import Block, Timescale, load_params
from finscale.storage import read_json, read_parquet, write_parquet

RAW = Path("data/raw")
VALIDATED = Path("metrics/validate.json")
BARS = Path("data/interim/bars.parquet")


class Params(Block):
    timescale: Timescale


def resample(raw: pd.DataFrame, timescale: Timescale) -> pd.DataFrame:
    """Raw rows to adjusted bars. Daily is the one timescale so far: a bar is a session."""
    assert timescale == "daily"
    return adjust(raw)


def main() -> None:
    params = load_params(Params)
    symbols = [name for name, about in read_json(VALIDATED).items() if about["kind"] == "prices"]
    bars = {symbol: resample(read_parquet(RAW / f"{symbol}.parquet"), params.timescale) for symbol in symbols}
    table = pd.concat([frame.assign(asset=symbol) for symbol, frame in bars.items()])
    write_parquet(BARS, table[["date", "asset", "open", "high", "low", "close", "volume"]])
    print(f"resample: {len(table)} {params.timescale} bars of {', '.join(symbols)}")


if __name__ == "__main__":
    run(main)
