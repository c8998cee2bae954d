"""live: Yahoo Finance, FRED and the San Francisco Fed, through the raw store.

The three modules know how to ask; this one knows how answers of different days are put together. Google answers no
program reliably: search trends are exported by hand and read from the user's folder (directory.py).
"""

from datetime import date

import numpy as np
import pandas as pd

from finscale.calendar import last_final_day, sessions
from finscale.errors import InputError
from finscale.sources import fred, news_sentiment, yahoo
from finscale.sources.store import RawStore, Segment
from finscale.sources.tables import SERVERS, Wanted

_PRICES = ["open", "high", "low", "close"]
_SAME = 1e-4  # relative: two answers agree on a day; Yahoo rounds to six digits


def fetch(
    series: Wanted, first: date, last: date, store: RawStore, holes: int = 0
) -> tuple[pd.DataFrame, str, list[str]]:
    """One series from `first` to `last`, when it was retrieved, and what a reader should know of it.

    holes: the sessions that prices may lack. A series is one question: yfinance's download of many is one question for
    each as well, and tells an empty answer where a server refuses (1.7.0).
    """
    if last > (final := last_final_day()):
        raise InputError(
            f"params.yaml: data.end = {last} has not passed in New York; the last day with final prices is {final}"
        )
    source, name = SERVERS[series.kind], series.name
    notes: list[str] = []
    if series.kind == "prices":
        segments = store.segments(source, name, first, last, lambda a, b: yahoo.fetch(name, a, b, holes=holes))
        frame, notes = join_prices(segments, name)
        notes += _end_note(frame, last)
    elif series.kind == "volatility":
        segments = store.segments(
            source, name, first, last, lambda a, b: yahoo.fetch("^VIX", a, b, every_session=False)
        )
        frame = join_values(segments)
    elif series.kind == "economic":
        segments = store.segments(source, name, first, last, lambda a, b: fred.fetch(name, a, b))
        frame = join_values(segments)
    else:
        segments = [store.whole(source, name, first, last, news_sentiment.fetch)]
        frame, notes = segments[0].frame, news_sentiment.notes(segments[0].frame)
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


def _end_note(frame: pd.DataFrame, last: date) -> list[str]:
    """An answer was stored to `last`, or to a last trade that lay before."""
    after = sessions(frame["date"].iloc[-1], pd.Timestamp(last))[1:]
    return ["warning: it has ended; Yahoo dates its last trade on the last of these days"] if len(after) else []


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
            "set data.vintage to the day of today to take the new history as a whole"
        )
    return factor


def join_values(segments: list[Segment]) -> pd.DataFrame:
    """What was known first stays: a newer answer adds days and revises none."""
    joined = segments[0].frame
    for segment in segments[1:]:
        newer = segment.frame[segment.frame["date"] > joined["date"].max()]
        joined = pd.concat([joined, newer], ignore_index=True)
    return joined
