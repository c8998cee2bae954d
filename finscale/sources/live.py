"""live: Yahoo Finance, FRED, the San Francisco Fed and Google Trends, through the raw store.

The four modules know how to ask; this one knows how answers of different days are put together.
"""

from datetime import date

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.sources import fred, news_sentiment, search_trends, yahoo
from finscale.sources.store import RawStore, Segment
from finscale.sources.tables import SERVERS, Wanted

_PRICES = ["open", "high", "low", "close"]
_SAME = 1e-4  # relative: two answers agree on a day; Yahoo rounds to six digits


def fetch(series: Wanted, first: date, last: date, store: RawStore) -> tuple[pd.DataFrame, str, list[str]]:
    """One series from `first` to `last`, when it was retrieved, and what a reader should know of it."""
    if last >= date.today():
        raise InputError(f"params.yaml: data.end = {last} has not passed; name a day whose prices are final")
    source = SERVERS[series.kind]
    if series.kind == "prices":
        segments = store.segments(source, series.name, first, last, lambda a, b: yahoo.fetch(series.name, a, b))
        frame, notes = join_prices(segments, series.name)
    elif series.kind == "volatility":
        segments = store.segments(source, "VIX", first, last, lambda a, b: yahoo.fetch("^VIX", a, b))
        frame, notes = join_values(segments), []
    elif series.kind == "economic":
        segments = store.segments(source, series.name, first, last, lambda a, b: fred.fetch(series.name, a, b))
        frame, notes = join_values(segments), []
    else:
        module = news_sentiment if series.kind == "sentiment" else search_trends
        segments = [store.whole(source, series.name, first, last, module.fetch)]
        frame, notes = segments[0].frame, module.notes(segments[0].frame)
    return frame, segments[-1].retrieved, notes


def join_prices(segments: list[Segment], symbol: str) -> tuple[pd.DataFrame, list[str]]:
    """One history from answers of different days.

    Yahoo states all prices on the basis of its latest split and dividend. Where a newer answer restates the
    days that both hold by one factor, the older rows are brought to the new basis; the stored files stay
    as they are. Raises InputError where the two differ in any other way.
    """
    joined, notes = segments[0].frame, []
    for newer in (segment.frame for segment in segments[1:]):
        split = _factor(joined, newer, "close", symbol)
        dividend = _factor(joined, newer, "adj_close", symbol)
        if abs(split - 1) > _SAME:
            notes.append(f"{symbol}: prices before {newer['date'].min():%Y-%m-%d} restated by {split:.6g} (split)")
        old = joined[joined["date"] < newer["date"].min()].copy()
        old[_PRICES] *= split
        old["adj_close"] *= dividend
        old["volume"] = old["volume"] / split
        joined = pd.concat([old, newer], ignore_index=True)
    return joined, notes


def _factor(older: pd.DataFrame, newer: pd.DataFrame, column: str, symbol: str) -> float:
    both = older.merge(newer, on="date", suffixes=("_old", "_new"))
    if both.empty:
        raise InputError(f"{symbol}: a new download has no day in common with the stored one; move data.start back")
    ratio = (both[f"{column}_new"] / both[f"{column}_old"]).to_numpy()
    factor = float(np.median(ratio))
    if (np.abs(ratio / factor - 1) > _SAME).any():
        day = both["date"][np.abs(ratio / factor - 1).argmax()]
        raise InputError(
            f"{symbol}: Yahoo has revised {column} of {day:%Y-%m-%d} since it was stored, and not by one factor; "
            "begin a new store (FINSCALE_STORE) to take the new history as a whole"
        )
    return factor


def join_values(segments: list[Segment]) -> pd.DataFrame:
    """What was known first stays: a newer answer adds days and revises none."""
    joined = segments[0].frame
    for segment in segments[1:]:
        newer = segment.frame[segment.frame["date"] > joined["date"].max()]
        joined = pd.concat([joined, newer], ignore_index=True)
    return joined
