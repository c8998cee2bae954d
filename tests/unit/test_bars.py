import pandas as pd

from finscale.bars import adjust, on_daily_rows, sessions, week_end, weekly_bars


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
    week = weekly_bars(bars).loc[day("2018-09-07")]  # Labor Day on Monday: four sessions
    own = bars["2018-09-04":"2018-09-07"]
    assert len(own) == 4
    assert week["open"] == own["open"].iloc[0]
    assert week["high"] == own["high"].max()
    assert week["low"] == own["low"].min()
    assert week["close"] == own["close"].iloc[-1]
    assert week["volume"] == own["volume"].sum()


def test_a_weekly_bar_is_known_at_the_close_of_its_last_scheduled_session(bars: pd.DataFrame) -> None:
    known = weekly_bars(bars)["known"]
    assert known[day("2018-06-15")] == day("2018-06-15")  # a plain week: Friday's close
    assert known[day("2018-03-30")] == day("2018-03-29")  # Good Friday: Thursday's close
    assert known[day("2018-11-23")] == day("2018-11-23")  # the half day after Thanksgiving


def test_an_unscheduled_closure_is_not_known_before_it(bars: pd.DataFrame) -> None:
    # On Monday 10 September 2001 nobody knew that the week was over.
    known = weekly_bars(bars)["known"]
    assert known[day("2001-09-14")] == day("2001-09-17")
    assert known[day("2004-06-11")] == day("2004-06-14")  # Friday of national mourning, called on Sunday


def test_daily_rows_see_only_weeks_that_are_known(bars: pd.DataFrame) -> None:
    weekly = weekly_bars(bars)
    days = pd.DatetimeIndex(bars.index)
    seen = pd.Series(on_daily_rows(weekly["close"], weekly["known"], days), days)
    assert seen["2018-06-14"] == weekly["close"]["2018-06-08"]
    assert seen["2018-06-15"] == weekly["close"]["2018-06-15"]
    assert seen["2018-06-18"] == weekly["close"]["2018-06-15"]
    assert seen["1999-01-05"] != seen["1999-01-05"]  # NaN: no week has closed yet


def test_the_week_of_a_weekend_day_is_the_one_before() -> None:
    dates = pd.DatetimeIndex(["2018-06-15", "2018-06-16", "2018-06-18"])
    assert list(week_end(dates)) == [day("2018-06-15"), day("2018-06-15"), day("2018-06-22")]
