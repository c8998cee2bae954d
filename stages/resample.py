"""resample: data/raw -> data/interim/{daily,bars}.parquet

Reads  data/raw/*.parquet, once validated (metrics/validate.json)
Writes data/interim/daily.parquet  date, asset, open, high, low, close, volume: one row per session
       data/interim/bars.parquet   the same at the experiment's timescale; date is the session at whose close
                                   the bar was known to be complete
Why    one table of bars, adjusted for splits and dividends. Labels are made from bars; features also need the
       days, for indicators of other timescales.
"""

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Timescale, load_params
from finscale.data.bars import adjust, get_freq_string, resample_ohlcv
from finscale.pages.many import READABLE, some
from finscale.storage import read_json, read_parquet, write_parquet
from stages.paths import BARS, DAILY, RAW, VALIDATED


class Params(Block):
    timescale: Timescale


def resample(daily: pd.DataFrame, timescale: Timescale) -> pd.DataFrame:
    """Every asset's bars; blocks of sessions are counted from the panel's first day, so that they close together."""
    freq, start = get_freq_string(timescale), daily["date"].min()
    bars = {
        asset: resample_ohlcv(own.set_index("date"), freq, start) for asset, own in daily.groupby("asset", sort=False)
    }
    table = pd.concat([own.reset_index().assign(asset=asset) for asset, own in bars.items()], ignore_index=True)
    return table[list(daily)]


def main() -> None:
    params = load_params(Params)
    symbols = [name for name, about in read_json(VALIDATED).items() if about["kind"] == "prices"]
    table = pd.concat([adjust(read_parquet(RAW / f"{symbol}.parquet")).assign(asset=symbol) for symbol in symbols])
    daily = table[["date", "asset", "open", "high", "low", "close", "volume"]]
    bars = resample(daily, params.timescale)
    write_parquet(DAILY, daily)
    write_parquet(BARS, bars)
    print(f"resample: {len(bars)} {params.timescale} bars of {some(symbols, READABLE)}")


if __name__ == "__main__":
    run(main)
