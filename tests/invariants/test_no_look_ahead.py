"""What the model sees on a day comes from that day and those before it. No feature is exempt."""

import numpy as np
import pandas as pd
import pytest

from finscale.bars import weekly_bars
from finscale.dataset import feature_names
from finscale.indicators.catalogue import TIERS, compute
from tests.conftest import ENDS, rows_of

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
    assert list(known) == [feature.name for feature in TIERS["a20"]]
    pd.testing.assert_frame_equal(known, whole.loc[:last], check_exact=True)


@pytest.mark.parametrize("last", LAST_DAYS)
def test_perturbation_no_feature_moves_with_a_later_price(last: str, bars: pd.DataFrame, whole: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(compute(disturbed(bars, last), "a20").loc[:last], whole.loc[:last], check_exact=True)


def disturbed(bars: pd.DataFrame, last: str) -> pd.DataFrame:
    """Bars whose prices and volumes after `last` are wildly different."""
    return bars.mul(np.where(bars.index > pd.Timestamp(last), RNG.uniform(0.2, 5, len(bars)), 1.0), axis=0)


def test_the_check_would_see_a_feature_that_looks_ahead(bars: pd.DataFrame) -> None:
    # The mistake of SPEC 12.6: a week's bar carried to every day of that week.
    def leaky(daily: pd.DataFrame) -> pd.Series:
        weekly = weekly_bars(daily)["close"]
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
