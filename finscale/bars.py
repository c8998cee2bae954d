"""Exchange calendar and bars: sessions, adjusted prices, and weekly bars that are known when closed."""

from functools import cache

import exchange_calendars
import numpy as np
import pandas as pd

BAR_COLUMNS = ("open", "high", "low", "close", "volume")

_FIRST_SESSION = "1990-01-01"
_AGGREGATION = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


@cache
def exchange() -> exchange_calendars.ExchangeCalendar:
    """The New York Stock Exchange's calendar (XNYS)."""
    return exchange_calendars.get_calendar("XNYS", start=_FIRST_SESSION)


def sessions(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """All trading days from `first` to `last`, both included."""
    return pd.DatetimeIndex(exchange().sessions_in_range(first, last), freq=None)


def adjust(raw: pd.DataFrame) -> pd.DataFrame:
    """Adjust raw OHLC for splits and dividends by adj_close / close.

    raw: date, open, high, low, close, adj_close, volume -> date, open, high, low, close, volume.
    """
    factor = raw["adj_close"] / raw["close"]
    adjusted = raw[["date"]].copy()
    for column in ("open", "high", "low", "close"):
        adjusted[column] = raw[column] * factor
    adjusted["volume"] = raw["volume"].astype(float)
    return adjusted


def weekly_bars(daily: pd.DataFrame) -> pd.DataFrame:
    """Weeks ending on Friday, one row per week that has traded.

    daily: date-indexed open, high, low, close, volume. The result has the same columns, indexed by
    the week's Friday whether or not that Friday was a session, plus `known`: the first
    session at whose close the bar is complete and everyone knew that it was.
    """
    fridays = week_end(daily.index)
    weekly = daily.groupby(fridays).agg(_AGGREGATION)
    weekly.index.name = "week"
    weekly["known"] = _known_on(pd.DatetimeIndex(weekly.index))
    return weekly


def week_end(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The Friday of each date's trading week (a Saturday or Sunday belongs to the week before)."""
    return dates - pd.to_timedelta(dates.weekday - 4, unit="D")


def _known_on(fridays: pd.DatetimeIndex) -> pd.DatetimeIndex:
    # The last day of each week that was scheduled to trade. An unscheduled closure (11 to
    # 14 September 2001) is not known at the close before it: such a week is known to be over
    # only at the next session.
    first, last = fridays[0] - pd.Timedelta(days=4), fridays[-1]
    scheduled = pd.bdate_range(first, last).difference(exchange().regular_holidays.holidays(first, last))
    last_scheduled = pd.Series(scheduled, week_end(scheduled)).groupby(level=0).last()
    trading = sessions(first, last + pd.Timedelta(days=7))
    return trading[trading.searchsorted(last_scheduled[fridays])]


def on_daily_rows(weekly: pd.Series, known: pd.Series, days: pd.DatetimeIndex) -> np.ndarray:
    """Carry weekly values to daily rows: each day sees the newest bar known at its close.

    weekly, known: one value and one date per week -> float array of shape (len(days),), NaN before
    the first known bar.
    """
    position = np.searchsorted(known.to_numpy(), days.to_numpy(), side="right") - 1
    values = weekly.to_numpy(dtype=float)
    return np.where(position >= 0, values[np.maximum(position, 0)], np.nan)
