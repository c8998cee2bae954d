"""align: data/raw -> data/interim/series.parquet

Reads  data/raw, once validated (metrics/validate.json), and of the assets only their trading days
Writes data/interim/series.parquet  date and one column per economic, sentiment, volatility and search series
Why    a value enters on the first session after it was public (finscale/data/series.py has the lags and their reasons).
"""

import pandas as pd

from finscale.calendar import sessions
from finscale.cli import run
from finscale.data.series import on_sessions
from finscale.storage import read_json, read_parquet, write_parquet
from stages.paths import RAW, SERIES, VALIDATED


def main() -> None:
    told = read_json(VALIDATED)
    assets = [about for about in told.values() if about["kind"] == "prices"]
    first, last = min(about["first"] for about in assets), max(about["last"] for about in assets)
    others = {name: about["kind"] for name, about in told.items() if about["kind"] != "prices"}
    raw = {name: (kind, read_parquet(RAW / f"{name}.parquet")) for name, kind in others.items()}
    table = on_sessions(raw, sessions(pd.Timestamp(first), pd.Timestamp(last)))
    write_parquet(SERIES, table.rename_axis("date").reset_index())
    print(f"align: {', '.join(table.columns) or 'no series besides prices'} on {len(table)} sessions")


if __name__ == "__main__":
    run(main)
