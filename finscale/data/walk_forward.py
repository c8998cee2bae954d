"""Walk-forward evaluation: folds that step through time, each trained on what came before its test.

    fold 2013   train 2001-2010 | validation 2011 | calibration 2012 | test 2013
    fold 2014        train 2002-2011 | validation 2012 | calibration 2013 | test 2014     (rolling: 10 years)

expanding: training begins with the data in every fold. Periods are calendar years, so that every experiment whose
first test year is the same is tested on the same days, whatever its features need to warm up.

Two guards stand between the periods of a fold. Purge: no label of one uses a price of the next. Embargo: beyond that,
no label of one exits in the last `embargo` bars before the next, because what moved the market on a day still echoes
on the days after it. Test periods have neither: nothing of their fold comes after them, and leaving their last days
out would leave days untested. The other use of an embargo, after a test block that later rows of the same fold train
on (Lopez de Prado 2018, chapter 7), does not arise: no fold trains on a day after its test.
"""

import pandas as pd

from finscale.config import Source
from finscale.data.config import WalkForwardConfig
from finscale.data.splits import SPLITS, Fold, Period, Split
from finscale.errors import InputError

_LATEST_START = pd.Timedelta(days=31)  # a year may begin with a holiday, and its first monthly bar closes in January


def walk_forward_folds(days: pd.DatetimeIndex, source: Source, config: WalkForwardConfig) -> list[Fold]:
    """The folds, oldest first, named by their first test year. The last test period ends with the data.

    days: every day with a label and enough history, ascending, each once. Raises InputError where the data begin too
    late for the first fold or end before its test.
    """
    first_test = config.first_test.of(source)
    _check_reach(days, first_test, config)
    return [_fold(days, year, config) for year in range(first_test, days[-1].year + 1, config.test_years)]


def _check_reach(days: pd.DatetimeIndex, first_test: int, config: WalkForwardConfig) -> None:
    """Raise InputError where the first fold does not fit between the first and the last day."""
    key = "params.yaml: evaluation.walk_forward.first_test"
    if days.empty:
        raise InputError(
            f"{key} = {first_test}: no day has both a label and dataset.context_reserve bars of history; use a "
            "longer series, a shorter timescale or a lower tier"
        )
    begins, ends = days[0], days[-1]
    wanted = first_test - config.years_before_test
    if begins > _new_year(wanted) + _LATEST_START:
        complete = begins.year if begins <= _new_year(begins.year) + _LATEST_START else begins.year + 1
        raise InputError(
            f"{key} = {first_test} needs labelled days from {wanted}-01-01 on ({config.years_before_test} years of "
            f"training, validation and calibration), the first is {begins:%Y-%m-%d}; the earliest test year that fits "
            f"is {complete + config.years_before_test}"
        )
    if ends < _new_year(first_test):
        raise InputError(
            f"{key} = {first_test}: the last labelled day is {ends:%Y-%m-%d}, so no fold has a test day; choose an "
            "earlier year with shorter periods, or use a longer series"
        )


def _fold(days: pd.DatetimeIndex, test_year: int, config: WalkForwardConfig) -> Fold:
    calibration = test_year - config.calibration_years
    validation = calibration - config.validation_years
    train = validation - config.train_years
    years = (train, validation, calibration, test_year, test_year + config.test_years)
    periods: dict[Split, Period] = {}
    for split, first, following in zip(SPLITS, years, years[1:], strict=False):
        last = _new_year(following) - pd.Timedelta(days=1)
        last_exit = pd.Timestamp.max if split == "test" else _exit_before(days, last, config.embargo)
        periods[split] = Period(_new_year(first), last, last_exit)
    if config.window == "expanding":
        periods["train"] = Period(pd.Timestamp.min, periods["train"].last, periods["train"].last_exit)
    return Fold(str(test_year), periods)


def _exit_before(days: pd.DatetimeIndex, last: pd.Timestamp, embargo: int) -> pd.Timestamp:
    """The latest day on which a label of the period that ends on `last` may exit."""
    known = days[days <= last]
    return known[max(0, len(known) - 1 - embargo)]


def _new_year(year: int) -> pd.Timestamp:
    return pd.Timestamp(year, 1, 1)
