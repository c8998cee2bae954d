import numpy as np
import pandas as pd
import pytest

from finscale.calendar import sessions
from finscale.config import Task
from finscale.data.labels import THRESHOLDS, horizon_on, label
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
