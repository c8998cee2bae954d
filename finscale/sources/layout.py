"""What lies where in a user's folder (source `directory`):

    <directory>/ohlcv/SPY.csv            date, open, high, low, close, volume [, adj_close]
    <directory>/ohlcv/VIX.csv            date, open, high, low, close
    <directory>/fred/DGS10.csv           date, then the value
    <directory>/sentiment/<any>.csv      date, then the value
    <directory>/trends/<any>.csv         first and last day of each week, then one column per search term

No table is held here: whoever only asks which files there are loads no pandas.
"""

from pathlib import Path

from finscale.sources.tables import Kind, Wanted

FOLDERS: dict[Kind, str] = {
    "prices": "ohlcv", "volatility": "ohlcv", "economic": "fred", "sentiment": "sentiment", "trends": "trends",
}  # fmt: skip


def files_of(directory: str, series: Wanted) -> list[Path]:
    """The files that may hold a series; none where there is no such folder. One is right, more are ambiguous."""
    folder = Path(directory) / FOLDERS[series.kind]
    stem = "*" if series.kind in ("sentiment", "trends") else series.name
    return [path for suffix in ("csv", "parquet") for path in folder.glob(f"{stem}.{suffix}")]
