"""What the model sees on a day comes from that day and those before it. No feature is exempt."""

import numpy as np
import pandas as pd
import pytest

from finscale.calendar import week_end
from finscale.config import Quality, Timescale
from finscale.data.dataset import feature_names
from finscale.indicators.catalogue import compute, features_of
from finscale.indicators.quality import features_of_series, quality_features
from tests.conftest import ENDS, known_series, real, rows_of

RNG = np.random.default_rng(20181231)
# Mid-week, mid-month and random days, and those where calendars go wrong: around the closure of
# September 2001, holiday Mondays and Fridays, the funeral of June 2004, the storm of October 2012.
AWKWARD = ["2001-09-07", "2001-09-10", "2001-09-17", "2004-06-10", "2004-06-14", "2012-10-26", "2012-10-31",
           "2018-03-29", "2018-09-03", "2018-09-04", "2018-11-23", "2018-12-04", "2018-12-06"]  # fmt: skip
RANDOM = [str(day)[:10] for day in RNG.choice(pd.bdate_range("2000-06-01", "2018-12-28"), 25, replace=False)]
LAST_DAYS = AWKWARD + RANDOM


@pytest.fixture(scope="module")
def whole(bars: pd.DataFrame) -> pd.DataFrame:
    return compute(bars, "a20")


@pytest.mark.parametrize("last", LAST_DAYS)
def test_truncation_every_feature_is_the_same_without_the_future(
    last: str, bars: pd.DataFrame, whole: pd.DataFrame
) -> None:
    known = compute(bars.loc[:last], "a20")
    assert list(known) == [feature.name for feature in features_of("a20")]
    pd.testing.assert_frame_equal(known, whole.loc[:last], check_exact=True)


@pytest.mark.parametrize("last", LAST_DAYS)
def test_perturbation_no_feature_moves_with_a_later_price(last: str, bars: pd.DataFrame, whole: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(compute(disturbed(bars, last), "a20").loc[:last], whole.loc[:last], check_exact=True)


def disturbed(bars: pd.DataFrame, last: str) -> pd.DataFrame:
    """Bars whose prices and volumes after `last` are wildly different."""
    return bars.mul(np.where(bars.index > pd.Timestamp(last), RNG.uniform(0.2, 5, len(bars)), 1.0), axis=0)


# All 2000 features on every timescale. The longer the bars, the more years it takes to warm them up; a Wednesday in
# mid-month, the last session of a year, and random days.
HISTORIES: dict[Timescale, tuple[str, str]] = {
    "daily": ("SP500", "2012"), "2d": ("SP500", "2009"), "3d": ("SP500", "2007"), "5d": ("SP500", "2003"),
    "weekly": ("SP500", "2003"), "2week": ("SP500", "1999"), "monthly": ("SPY", "1993"),
    "daily_multi": ("SP500", "2012"),
}  # fmt: skip
CUTS = {"SP500": ["2017-06-14", "2016-12-30"], "SPY": ["2019-06-12", "2021-12-31"]}


def cuts(timescale: Timescale) -> list[str]:
    symbol, _ = HISTORIES[timescale]
    first, last = ("2014-06-01", "2018-12-20") if symbol == "SP500" else ("2017-01-01", "2026-05-20")
    random = np.random.default_rng(sum(map(ord, timescale))).choice(pd.bdate_range(first, last), 2, replace=False)
    return [*CUTS[symbol], *(str(day)[:10] for day in random)]


@pytest.fixture(scope="module", params=HISTORIES)
def history(request: pytest.FixtureRequest, bars: pd.DataFrame) -> tuple[Timescale, pd.DataFrame, pd.DataFrame]:
    """A timescale, real daily bars, and all features of a2000 on them."""
    symbol, since = HISTORIES[request.param]
    daily = (bars if symbol == "SP500" else real(symbol)).loc[since:]
    return request.param, daily, compute(daily, "a2000", request.param)


def test_no_feature_of_any_timescale_needs_the_future(
    history: tuple[Timescale, pd.DataFrame, pd.DataFrame],
) -> None:
    timescale, daily, whole = history
    assert list(whole) == [feature.name for feature in features_of("a2000", timescale)]
    for last in cuts(timescale):
        known = compute(daily[:last], "a2000", timescale)
        assert known.iloc[-1].notna().all(), f"{timescale} {last}: the check would be empty"
        pd.testing.assert_frame_equal(known, whole[:last], check_exact=True)
        moved = compute(disturbed(daily, last), "a2000", timescale)
        pd.testing.assert_frame_equal(moved[:last], whole[:last], check_exact=True)
        assert not moved.iloc[-1].equals(whole.iloc[-1])


@pytest.mark.parametrize("quality", ["b", "c", "d"])
def test_no_quality_feature_needs_the_future(quality: Quality) -> None:
    series = known_series()
    whole = quality_features(series, quality)
    assert list(whole) == [feature.name for feature in features_of_series("A", quality)]
    for last in ("2005-06-15", "2007-11-30", "2008-10-08", "2010-04-13"):
        known = quality_features(series[:last], quality)
        assert known.iloc[-1].notna().all(), f"{last}: the check would be empty"
        pd.testing.assert_frame_equal(known, whole[:last], check_exact=True)
        moved = quality_features(disturbed(series, last), quality)
        pd.testing.assert_frame_equal(moved[:last], whole[:last], check_exact=True)


def test_the_check_would_see_a_feature_that_looks_ahead(bars: pd.DataFrame) -> None:
    # The mistake of SPEC 12.6: a week's bar carried to every day of that week.
    def leaky(daily: pd.DataFrame) -> pd.Series:
        weekly = daily["close"].groupby(week_end(daily.index)).last()
        return pd.Series(daily.index, daily.index).map(lambda day: weekly[weekly.index >= day].iloc[0])

    short = bars.loc["2018-01-01":]
    cut = short.loc[:"2018-06-13"]
    assert not leaky(cut).equals(leaky(short).loc[: cut.index[-1]])


@pytest.mark.parametrize("last", ["2013-12-31", "2015-06-10", "2016-03-23", "2017-11-24"])
def test_the_data_set_s_inputs_do_not_move_with_later_prices(last: str, bars: pd.DataFrame, rows: pd.DataFrame) -> None:
    # The scaler is fitted on the training rows: from their end on, nothing later may change an input.
    moved = rows_of(disturbed(bars, last))
    columns = ["date", "last_known", *feature_names(rows)]
    pd.testing.assert_frame_equal(until(moved, last)[columns], until(rows, last)[columns], check_exact=True)


@pytest.mark.parametrize("end", [ENDS.train_end, ENDS.validation_end])
def test_no_label_moves_with_a_price_of_the_next_split(end: object, bars: pd.DataFrame, rows: pd.DataFrame) -> None:
    moved = rows_of(disturbed(bars, str(end)))
    columns = ["date", "split", "label"]
    pd.testing.assert_frame_equal(until(moved, str(end))[columns], until(rows, str(end))[columns], check_exact=True)


def until(rows: pd.DataFrame, last: str) -> pd.DataFrame:
    return rows[rows["date"] <= pd.Timestamp(last)]
