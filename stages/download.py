"""download: source -> data/raw

Reads  the source that params.yaml names
Writes data/raw/<symbol>.parquet  date, open, high, low, close, adj_close, volume, as published
       data/raw/manifest.csv      one row per file: source, symbol, first, last, rows, columns, md5
Why    raw data are fetched once and never changed; everything else can be made again from them.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.config import AssetTier, Block, Source, load_params
from finscale.sources import RAW_COLUMNS, fetch
from finscale.storage import md5_of, write_csv, write_parquet

RAW = Path("data/raw")


class Params(Block):
    source: Source
    assets: AssetTier


def download(source: Source, assets: AssetTier) -> dict[str, pd.DataFrame]:
    return {symbol: frame[list(RAW_COLUMNS)] for symbol, frame in fetch(source, assets).items()}


def manifest_row(source: Source, symbol: str, frame: pd.DataFrame) -> dict[str, object]:
    return {
        "source": source,
        "symbol": symbol,
        "first": f"{frame['date'].min():%Y-%m-%d}",
        "last": f"{frame['date'].max():%Y-%m-%d}",
        "rows": len(frame),
        "columns": len(frame.columns),
        "md5": md5_of(RAW / f"{symbol}.parquet"),
    }


def main() -> None:
    params = load_params(Params)
    series = download(params.source, params.assets)
    for symbol, frame in series.items():
        write_parquet(RAW / f"{symbol}.parquet", frame)
    for stale in set(RAW.glob("*.parquet")) - {RAW / f"{symbol}.parquet" for symbol in series}:
        stale.unlink()
    manifest = pd.DataFrame([manifest_row(params.source, symbol, frame) for symbol, frame in series.items()])
    write_csv(RAW / "manifest.csv", manifest)
    for row in manifest.itertuples():
        print(f"download: {row.symbol} from {row.source}: {row.rows} days, {row.first} to {row.last}")


if __name__ == "__main__":
    run(main)
