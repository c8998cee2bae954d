"""Labels: from raw closes, known only once their exit has passed, the same whatever the price's unit."""

import numpy as np
import pandas as pd
import pytest

from finscale.calendar import sessions
from finscale.config import Task, Timescale
from finscale.data.bars import bar_days, get_freq_string, resample_ohlcv
from finscale.data.labels import FLOOR, PAST, THRESHOLDS, horizon_on, label
from finscale.errors import InputError


def series(closes: list[float], highs: list[float] | None = None, first: str = "2018-01-02") -> pd.DataFrame:
    dates = sessions(pd.Timestamp(first), pd.Timestamp(first) + pd.Timedelta(days=60))[: len(closes)]
    return pd.DataFrame({"close": closes, "high": highs or closes}, index=pd.DatetimeIndex(dates, name="date"))


def test_a_label_compares_the_exit_s_close_with_its_own() -> None:
    found = label(series([100.0, 101.0, 100.5, 102.6]), "threshold_1pct", 2)
    assert found["label"].tolist() == [0.0, 1.0]  # +0.5 %, then 102.6/101 = +1.58 %
    assert found["exit"].tolist() == sessions(pd.Timestamp("2018-01-04"), pd.Timestamp("2018-01-05")).tolist()


def test_the_last_days_have_no_label_because_their_exit_is_not_in_the_data(bars: pd.DataFrame) -> None:
    for horizon in (1, 2, 3, 5):
        assert len(label(bars, "direction", horizon)) == len(bars) - horizon


def test_thresholds_are_strict_on_closes() -> None:
    assert label(series([100.0, 100.99, 102.1]), "threshold_1pct", 1)["label"].tolist() == [0.0, 1.0]
    assert label(series([100.0, 100.0]), "direction", 1)["label"].tolist() == [0.0]


def test_label_price_high_asks_whether_the_level_was_touched() -> None:
    bars = series([100.0, 99.0, 99.0], highs=[150.0, 101.0, 99.0])
    assert label(bars, "threshold_1pct", 2, "high")["label"].tolist() == [1.0]  # the day's own high does not count
    with pytest.raises(InputError, match=r"label\.price = high is for threshold tasks only, not for task = direction"):
        label(bars, "direction", 2, "high")


@pytest.mark.parametrize("task", THRESHOLDS)
def test_every_threshold_agrees_with_the_regression_target(task: Task, bars: pd.DataFrame) -> None:
    returns = label(bars, "regression", 5)["label"]
    assert (label(bars, task, 5)["label"] == (returns > THRESHOLDS[task])).all()


def test_the_weekly_horizon_exits_at_the_close_of_the_first_week_that_ends_later(bars: pd.DataFrame) -> None:
    exits = label(bars, "direction", "weekly").set_index("date")["exit"]
    assert exits["2018-06-13"] == pd.Timestamp("2018-06-15")  # Wednesday: this Friday
    assert exits["2018-06-15"] == pd.Timestamp("2018-06-22")  # Friday: the next one
    assert exits["2018-03-26"] == pd.Timestamp("2018-03-29")  # Good Friday is closed
    assert exits["2001-09-07"] == pd.Timestamp("2001-09-10")  # the week that closed after its Monday
    rows = np.searchsorted(bars.index, exits) - np.searchsorted(bars.index, exits.index)
    assert rows.min() == 1
    assert rows.max() == 5


def test_last_known_is_the_newest_label_whose_exit_has_passed() -> None:
    found = label(series([100.0, 102.0, 102.0, 105.0, 105.0]), "threshold_1pct", 2)
    assert found["label"].tolist() == [1.0, 1.0, 1.0]
    assert found["last_known"].isna().tolist() == [True, True, False]  # day 0 exits on day 2


def test_a_weekly_horizon_is_one_weekly_bar_and_no_whole_number_of_other_bars() -> None:
    assert horizon_on("daily", "weekly") == horizon_on("daily_multi", "weekly") == "weekly"
    assert horizon_on("weekly", "weekly") == 1
    assert horizon_on("monthly", 3) == 3
    with pytest.raises(InputError, match="not timescale = 2d; count bars instead"):
        horizon_on("2d", "weekly")


def test_volatility_is_the_log_of_the_root_mean_squared_log_return_of_the_bars_to_come() -> None:
    found = label(series([100.0, 110.0, 99.0, 99.0]), "volatility", 2)
    expected = [np.log(np.sqrt((np.log(1.1) ** 2 + np.log(0.9) ** 2) / 2)), np.log(np.sqrt(np.log(0.9) ** 2 / 2))]
    np.testing.assert_allclose(found["label"], expected)
    assert label(series([100.0, 100.0]), "volatility", 1)["label"].tolist() == [np.log(FLOOR)]  # no move: no -infinity


def test_volatility_to_the_end_of_the_week_counts_the_bars_that_there_are(bars: pd.DataFrame) -> None:
    returns = np.log(bars["close"]).diff()
    found = label(bars, "volatility", "weekly").set_index("date")
    for day, exit_day in (("2018-06-13", "2018-06-15"), ("2018-03-26", "2018-03-29"), ("2018-06-15", "2018-06-22")):
        to_come = returns[day:exit_day].iloc[1:]
        assert found["label"][day] == pytest.approx(np.log(np.sqrt((to_come**2).mean())))


def test_a_surprise_exceeds_one_deviation_of_the_symbol_s_own_past_scaled_to_the_horizon(bars: pd.DataFrame) -> None:
    returns = np.log(bars["close"]).diff()
    found = label(bars, "surprise", 5).set_index("date")
    assert found.index[0] == bars.index[PAST]  # 60 returns need 61 closes
    move = (np.log(bars["close"]).shift(-5) - np.log(bars["close"])).abs()
    usual = returns.rolling(PAST).std() * np.sqrt(5)
    pd.testing.assert_series_equal(found["label"], (move > usual)[found.index].astype(float), check_names=False)
    assert 0.15 < found["label"].mean() < 0.4


@pytest.mark.parametrize("task", ["volatility", "surprise"])
def test_a_surprise_and_a_volatility_know_neither_the_price_s_unit_nor_prices_after_the_exit(
    task: Task, bars: pd.DataFrame
) -> None:
    found = label(bars, task, 5)
    dearer = label(bars.assign(close=bars["close"] * 8), task, 5)
    np.testing.assert_allclose(dearer["label"], found["label"])
    cut = label(bars.iloc[:-100], task, 5)
    pd.testing.assert_frame_equal(cut, found.iloc[: len(cut)], check_exact=True)
    rng = np.random.default_rng(0)
    after = bars.index > bars.index[-101]
    moved = label(bars.assign(close=bars["close"] * np.where(after, rng.uniform(0.5, 2, len(bars)), 1.0)), task, 5)
    pd.testing.assert_frame_equal(moved.iloc[: len(cut)], cut, check_exact=True)


def test_a_symbol_ten_times_as_wild_has_the_same_surprises() -> None:
    moves = np.random.default_rng(0).standard_normal(300)
    dates = pd.bdate_range("2018-01-02", periods=300, name="date")
    calm, wild = (
        label(pd.DataFrame({"close": 100 * np.exp(np.cumsum(scale * moves))}, index=dates), "surprise", 3)
        for scale in (0.001, 0.01)
    )
    pd.testing.assert_frame_equal(calm, wild)
    assert 0.2 < calm["label"].mean() < 0.45  # of a normal move: 0.32


def test_a_label_counts_sessions_and_exists_only_between_bars(bars: pd.DataFrame) -> None:
    days = pd.DatetimeIndex(bars.index)
    whole = {task: label(bars, task, 5).set_index("date") for task in ("regression", "volatility")}
    lacking = bars.drop(index=days[[100, 101]])
    for task, full in whole.items():
        found = label(lacking, task, 5, days=days).set_index("date")
        on_the_way = days[96:100] if task == "volatility" else days[:0]
        gone = days[[95, 96, 100, 101]].union(on_the_way)
        assert full.index.difference(found.index).tolist() == gone.tolist()
        assert (found["exit"] == full.loc[found.index, "exit"]).all()
        unlike = found["label"] != full.loc[found.index, "label"]
        assert not unlike.any()


@pytest.mark.parametrize("timescale", ["daily", "2d", "3d", "5d", "weekly", "2week", "monthly"])
def test_the_exchange_s_bars_are_those_of_a_whole_series(timescale: Timescale, bars: pd.DataFrame) -> None:
    made = resample_ohlcv(bars, get_freq_string(timescale))
    whole = pd.DatetimeIndex(made.index)
    assert bar_days(timescale, whole).tolist() == whole.tolist()
    assert bar_days(timescale, whole[[3, 9, 20]]).tolist() == whole[3:21].tolist()
