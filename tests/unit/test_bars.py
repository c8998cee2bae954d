"""Bars: adjusted by one factor, aggregated by sessions, known when they have closed and not before."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from finscale.calendar import sessions, week_end
from finscale.config import Timescale
from finscale.data.bars import adjust, get_freq_string, on_daily_rows, resample_ohlcv
from finscale.errors import InputError

TIMESCALES = get_args(Timescale)


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def test_adjusting_scales_ohlc_by_the_adjustment_factor() -> None:
    raw = pd.DataFrame(
        {"date": [day("2018-01-02")], "open": [10.0], "high": [12.0], "low": [8.0], "close": [10.0], "adj_close": [5.0],
         "volume": [7]}
    )  # fmt: skip
    adjusted = adjust(raw).iloc[0]
    assert (adjusted["open"], adjusted["high"], adjusted["low"], adjusted["close"]) == (5.0, 6.0, 4.0, 5.0)
    assert adjusted["volume"] == 7.0


def test_sessions_leave_out_holidays_and_the_closure_of_september_2001() -> None:
    week = sessions(day("2001-09-10"), day("2001-09-17"))
    assert list(week) == [day("2001-09-10"), day("2001-09-17")]


def test_a_week_aggregates_its_own_sessions_only(bars: pd.DataFrame) -> None:
    week = resample_ohlcv(bars, "W-FRI").loc[day("2018-09-07")]  # Labor Day on Monday: four sessions
    check_aggregates(week, bars["2018-09-04":"2018-09-07"], sessions_expected=4)


def test_a_month_aggregates_its_own_sessions_only(bars: pd.DataFrame) -> None:
    months = resample_ohlcv(bars, "ME")
    check_aggregates(months.loc[day("2018-06-29")], bars["2018-06-01":"2018-06-29"], sessions_expected=21)
    assert day("2018-03-29") in months.index  # the 30th was Good Friday
    assert len(months) == 240  # twenty years


def check_aggregates(bar: pd.Series, own: pd.DataFrame, sessions_expected: int) -> None:
    assert len(own) == sessions_expected
    assert bar["open"] == own["open"].iloc[0]
    assert bar["high"] == own["high"].max()
    assert bar["low"] == own["low"].min()
    assert bar["close"] == own["close"].iloc[-1]
    assert bar["volume"] == own["volume"].sum()


@pytest.mark.parametrize("days", [2, 3, 5])
def test_blocks_count_sessions_from_the_first_bar_and_not_calendar_days(days: int, bars: pd.DataFrame) -> None:
    blocks = resample_ohlcv(bars, f"{days}D")
    assert len(blocks) == len(bars) // days  # an unfinished last block is no bar
    assert list(blocks.index) == list(bars.index[days - 1 :: days])
    for number in (0, 7, len(blocks) - 1):
        own = bars.iloc[number * days : (number + 1) * days]
        check_aggregates(blocks.iloc[number], own, sessions_expected=days)


def test_blocks_of_a_panel_close_together(bars: pd.DataFrame) -> None:
    late = bars.iloc[1001:]  # listed in the middle of a block: its first bar is the next block
    blocks = resample_ohlcv(late, "3D", start=bars.index[0])
    whole = resample_ohlcv(bars, "3D")
    pd.testing.assert_frame_equal(blocks, whole.loc[blocks.index])
    assert blocks.index[0] == bars.index[1004]


def test_two_weeks_make_a_bar_and_every_asset_has_the_same_ones(bars: pd.DataFrame) -> None:
    pairs, weeks = resample_ohlcv(bars, "2W-FRI"), resample_ohlcv(bars, "W-FRI")
    assert abs(len(pairs) - len(weeks) / 2) <= 1
    assert pairs["volume"].iloc[5] == weeks.loc[pairs.index[4] :, "volume"].iloc[1:3].sum()
    shifted = resample_ohlcv(bars.iloc[13:], "2W-FRI")
    pd.testing.assert_frame_equal(shifted.iloc[1:], pairs.loc[shifted.index[1] :])


@pytest.mark.parametrize("timescale", TIMESCALES)
def test_no_session_is_lost_and_none_counts_twice(timescale: Timescale, bars: pd.DataFrame) -> None:
    found = resample_ohlcv(bars, get_freq_string(timescale))
    assert found.index.is_monotonic_increasing
    assert found.index.is_unique
    assert set(found.index) <= set(sessions(bars.index[0], bars.index[-1]))
    np.testing.assert_allclose(found["volume"].sum(), bars["volume"].sum(), rtol=0.01)
    assert found["high"].max() == bars["high"].max()
    assert found["low"].min() == bars["low"].min()


def test_a_frequency_that_does_not_exist_says_what_does(bars: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="start = 2003-01-02 lies after the first row, 1999-01-04"):
        resample_ohlcv(bars, "3D", start=day("2003-01-02"))
    with pytest.raises(InputError, match="freq = '4h' is not known; use one of D, 2D, 3D, 5D, W-FRI, 2W-FRI, ME"):
        resample_ohlcv(bars, "4h")


@pytest.mark.parametrize(
    ("week_of", "known"),
    [
        ("2018-06-15", "2018-06-15"),  # a plain week: Friday's close
        ("2018-03-30", "2018-03-29"),  # Good Friday: Thursday's close
        ("2018-11-23", "2018-11-23"),  # the half day after Thanksgiving
        ("2018-09-07", "2018-09-07"),  # Labor Day on Monday
        # An unscheduled closure is not known before it: on Monday 10 September 2001 nobody knew
        # that the week was over, and the day of mourning of 11 June 2004, a Friday, was called on Sunday.
        ("2001-09-14", "2001-09-17"),
        ("2004-06-11", "2004-06-14"),
    ],
)
def test_a_week_is_known_at_the_close_of_its_last_scheduled_session(
    week_of: str, known: str, bars: pd.DataFrame
) -> None:
    own = bars[week_end(bars.index) == day(week_of)]
    assert resample_ohlcv(bars, "W-FRI").loc[day(known), "close"] == own["close"].iloc[-1]


@pytest.mark.parametrize("timescale", TIMESCALES)
def test_a_bar_is_the_same_whenever_the_history_ends(timescale: Timescale, bars: pd.DataFrame) -> None:
    freq = get_freq_string(timescale)
    whole = resample_ohlcv(bars, freq)
    for last in ("2001-09-10", "2001-09-17", "2004-06-10", "2012-10-26", "2018-03-29", "2018-06-13", "2018-11-30"):
        pd.testing.assert_frame_equal(resample_ohlcv(bars[:last], freq), whole[:last])


def test_daily_rows_see_only_weeks_that_are_known(bars: pd.DataFrame) -> None:
    weekly = resample_ohlcv(bars, "W-FRI")
    days = pd.DatetimeIndex(bars.index)
    seen = pd.Series(on_daily_rows(weekly["close"].to_numpy(), pd.DatetimeIndex(weekly.index), days), days)
    assert seen["2018-06-14"] == weekly["close"]["2018-06-08"]
    assert seen["2018-06-15"] == weekly["close"]["2018-06-15"]
    assert seen["2018-06-18"] == weekly["close"]["2018-06-15"]
    assert seen["1999-01-05"] != seen["1999-01-05"]  # NaN: no week has closed yet


def test_the_week_of_a_weekend_day_is_the_one_before() -> None:
    dates = pd.DatetimeIndex(["2018-06-15", "2018-06-16", "2018-06-18"])
    assert list(week_end(dates)) == [day("2018-06-15"), day("2018-06-15"), day("2018-06-22")]


def test_weeks_are_known_when_they_were_whatever_other_series_was_asked_for_before(bars: pd.DataFrame) -> None:
    """The days that were to trade are worked out once for whole years, and cut to each series."""
    whole = resample_ohlcv(bars, "W-FRI")
    for first, last in (("2001-08-15", "2001-10-05"), ("2012-10-15", "2012-11-15"), ("2004-12-20", "2005-01-14")):
        part = resample_ohlcv(bars[first:last], "W-FRI")
        inner = whole[
            (whole.index > pd.Timestamp(first) + pd.Timedelta(days=7)) & (whole.index <= bars[:last].index[-1])
        ]
        pd.testing.assert_frame_equal(part.loc[inner.index], inner)
