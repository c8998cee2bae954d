"""Bars: adjusted prices, and bars of 8 timescales that are known when closed."""

from functools import cache

import numpy as np
import pandas as pd

from finscale.calendar import exchange, sessions, week_end
from finscale.config import Timescale
from finscale.errors import InputError

BAR_COLUMNS = ("open", "high", "low", "close", "volume")

_FIRST_FRIDAY = pd.Timestamp("1900-01-05")
_LONGEST_CLOSURE = 14  # calendar days, more than any that the exchange has had since 1933
_LONGEST_BAR = 62  # calendar days before a bar closes to which no day of it goes back
_FREQUENCIES: dict[Timescale, str] = {
    "daily": "D", "2d": "2D", "3d": "3D", "5d": "5D", "weekly": "W-FRI", "2week": "2W-FRI", "monthly": "ME",
    "daily_multi": "D",
}  # fmt: skip
_AGGREGATION = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


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


def get_freq_string(timescale: Timescale) -> str:
    """The frequency of a timescale's bars, as resample_ohlcv takes it; nD means n sessions, never calendar days."""
    return _FREQUENCIES[timescale]


def resample_ohlcv(df: pd.DataFrame, freq: str, start: pd.Timestamp | None = None) -> pd.DataFrame:
    """Daily bars to bars of another timescale: open first, high max, low min, close last, volume sum.

    df: date-indexed open, high, low, close, volume, one row per session, ascending. Returns the same
    columns, indexed by `date`: the session at whose close the bar is complete and everyone knew that it
    was. A bar that is not known to be complete by the last row of df is no bar, so that no bar
    changes when the history goes on.

    nD counts the sessions of the exchange from `start`, by default the first row: give the assets of a
    panel one start, and their bars close together (a first block that df has only the end of is no
    bar). W-FRI, 2W-FRI and ME (month end) follow the calendar, the same for all assets. Raises
    InputError for any other frequency, and for a start after the first row.
    """
    if freq not in _FREQUENCIES.values():
        allowed = ", ".join(dict.fromkeys(_FREQUENCIES.values()))
        raise InputError(f"resample_ohlcv: freq = {freq!r} is not known; use one of {allowed}")
    daily = df[list(BAR_COLUMNS)].rename_axis(index="date")
    if freq == "D" or daily.empty:
        return daily
    days = pd.DatetimeIndex(daily.index)
    if start is not None and start > days[0]:
        raise InputError(f"resample_ohlcv: start = {start:%Y-%m-%d} lies after the first row, {days[0]:%Y-%m-%d}")
    if freq.endswith("D"):
        known = _last_session_of_block(days, int(freq[:-1]), days[0] if start is None else start)
    else:
        known = _known_on(_period_end(days, freq), days, freq)
    bars = daily.groupby(known.as_unit(days.unit)).agg(_AGGREGATION).rename_axis(index="date")
    return bars[(bars.index <= days[-1])]


def bar_days(timescale: Timescale, dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The days on which the exchange closed a bar, from the first to the last of `dates`.

    dates: those of some asset's bars, of resample_ohlcv; it may lack some of these days, and has no other.
    """
    freq, first, last = get_freq_string(timescale), dates[0], dates[-1]
    if freq.endswith("D"):
        return sessions(first, last)[:: int(freq[:-1] or 1)]
    trading = sessions(first - pd.Timedelta(days=_LONGEST_BAR), last)
    bars = pd.DatetimeIndex(resample_ohlcv(pd.DataFrame(1.0, trading, list(BAR_COLUMNS)), freq).index)
    return bars[bars >= first]


def _period_end(dates: pd.DatetimeIndex, freq: str) -> pd.DatetimeIndex:
    """The last calendar day of each date's week, pair of weeks or month."""
    if freq == "ME":
        return dates + pd.offsets.MonthEnd(0)
    fridays = week_end(dates)
    if freq == "W-FRI":
        return fridays
    # Pairs of weeks are counted from a fixed Friday, the same for every asset.
    odd = ((fridays - _FIRST_FRIDAY).days // 7) % 2 == 1
    return fridays.where(odd, fridays + pd.Timedelta(days=7))


def _last_session_of_block(days: pd.DatetimeIndex, length: int, start: pd.Timestamp) -> pd.DatetimeIndex:
    """For each day the last session of its block of `length`, counted from `start`; NaT in a block begun before."""
    trading = sessions(start, days[-1] + pd.Timedelta(days=length + _LONGEST_CLOSURE))
    block = (trading.searchsorted(days, side="right") - 1) // length
    return trading[(block + 1) * length - 1].where(trading[block * length] >= days[0])


def _known_on(ends: pd.DatetimeIndex, days: pd.DatetimeIndex, freq: str) -> pd.DatetimeIndex:
    """For each period end the first session at whose close the period was known to be over."""
    # The last day of each period that was scheduled to trade. An unscheduled closure (11 to
    # 14 September 2001) is not known at the close before it: such a period is known to be over
    # only at the next session.
    first, last = days[0] - pd.Timedelta(days=31), ends[-1]
    scheduled = _scheduled(first.year, last.year)
    scheduled = scheduled[scheduled.searchsorted(first) : scheduled.searchsorted(last, side="right")]
    last_scheduled = pd.Series(scheduled, _period_end(scheduled, freq)).groupby(level=0).last()
    trading = sessions(first, last + pd.Timedelta(days=_LONGEST_CLOSURE))
    return trading[trading.searchsorted(last_scheduled[ends])]


@cache
def _scheduled(first_year: int, last_year: int) -> pd.DatetimeIndex:
    """The days of whole years on which the exchange was to trade. Many symbols share the years, and rules are slow."""
    first, last = pd.Timestamp(first_year, 1, 1), pd.Timestamp(last_year, 12, 31)
    return pd.bdate_range(first, last).difference(exchange().regular_holidays.holidays(first, last))


def on_daily_rows(values: np.ndarray, known: pd.DatetimeIndex, days: pd.DatetimeIndex) -> np.ndarray:
    """Carry values of longer bars to rows of others: each row sees the newest bar known at its close.

    values, known: one value and one session per bar -> float array of shape (len(days),), NaN before
    the first known bar.
    """
    if not len(known):
        return np.full(len(days), np.nan)
    position = np.searchsorted(known.to_numpy(), days.to_numpy(), side="right") - 1
    return np.where(position >= 0, values[np.maximum(position, 0)], np.nan)
