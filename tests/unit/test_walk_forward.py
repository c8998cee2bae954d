"""Folds: purged, embargoed, every test day once; one fold of a walk-forward is a single split on its dates."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finscale.calendar import sessions
from finscale.data.config import EvaluationConfig, FirstTest, SplitDates, WalkForwardConfig
from finscale.data.dataset import assemble, join, normalise, split_rows, usable_days
from finscale.data.folds import fold_table, read_folds, remove_others
from finscale.data.labels import label
from finscale.data.splits import SPLITS, UNUSED, assign_splits, single_fold
from finscale.data.walk_forward import walk_forward_folds
from finscale.errors import InputError
from finscale.indicators.catalogue import compute, drop_warmup
from finscale.storage import write_csv

market_days = sessions(pd.Timestamp("1995-01-03"), pd.Timestamp("2018-12-31"))
TEN_YEARS = {"window": "rolling", "train_years": 10, "validation_years": 1, "calibration_years": 1, "test_years": 1,
             "embargo": 5, "first_test": {"bundled": 2013, "live": 2007}}  # fmt: skip


def config(**changes: object) -> WalkForwardConfig:
    return WalkForwardConfig.model_validate(TEN_YEARS | changes)


def configs() -> st.SearchStrategy[WalkForwardConfig]:
    years = st.integers(1, 3)
    return st.builds(
        WalkForwardConfig,
        window=st.sampled_from(["rolling", "expanding"]),
        train_years=st.integers(1, 8),
        validation_years=years,
        calibration_years=years,
        test_years=years,
        embargo=st.integers(0, 30),
        first_test=st.builds(FirstTest, bundled=st.integers(2009, 2018), live=st.just(2010)),
    )


def divided(config: WalkForwardConfig, horizon: int) -> tuple[pd.DataFrame, list]:
    """The sessions with their exits, and per fold the split of each."""
    dates = pd.Series(market_days)
    rows = pd.DataFrame({"date": dates, "exit": dates.shift(-horizon)})
    folds = walk_forward_folds(pd.DatetimeIndex(rows.loc[rows["exit"].notna(), "date"]), "bundled", config)
    return rows, [(fold, assign_splits(rows["date"], rows["exit"], fold)) for fold in folds]


@settings(max_examples=60, deadline=None)
@given(configs(), st.integers(1, 20))
def test_between_two_splits_lie_the_purge_and_the_embargo(config: WalkForwardConfig, horizon: int) -> None:
    rows, folds = divided(config, horizon)
    for _, split in folds:
        for before, after in pairwise(SPLITS):
            last_price = rows.loc[split == before, "exit"].max()
            first_day = rows.loc[split == after, "date"].min()
            assert last_price < first_day
            assert ((market_days > last_price) & (market_days < first_day)).sum() == config.embargo


@settings(max_examples=60, deadline=None)
@given(configs(), st.integers(1, 20))
def test_every_labelled_day_from_the_first_test_on_is_tested_once(config: WalkForwardConfig, horizon: int) -> None:
    rows, folds = divided(config, horizon)
    times_tested = sum((split == "test").astype(int) for _, split in folds)
    wanted = (rows["date"].dt.year >= config.first_test.bundled) & rows["exit"].notna()
    assert times_tested.tolist() == wanted.astype(int).tolist()
    for _, split in folds:
        assert (split == "test").any()
        assert rows.loc[split == "train", "exit"].max() < rows.loc[split == "test", "date"].min()


@settings(max_examples=30, deadline=None)
@given(configs())
def test_a_rolling_window_moves_and_an_expanding_one_grows(config: WalkForwardConfig) -> None:
    rows, folds = divided(config, 5)
    for number, (fold, split) in enumerate(folds):
        begins = rows.loc[split == "train", "date"].min()
        year = config.first_test.bundled + number * config.test_years
        assert fold.name == str(year)
        moved = pd.Timestamp(year - config.years_before_test, 1, 1)
        assert begins == (market_days[0] if config.window == "expanding" else market_days[market_days >= moved][0])
        assert rows.loc[split == "train", "date"].max().year == year - config.validation_years - (
            config.calibration_years + 1
        )


def test_the_study_s_folds_are_ten_years_and_a_test_year_each() -> None:
    _, folds = divided(config(), 5)
    assert [fold.name for fold, _ in folds] == ["2013", "2014", "2015", "2016", "2017", "2018"]
    table = fold_table([fold for fold, _ in folds])
    assert table.iloc[1].tolist() == ["2014", "2002-01-01", "2011-12-31", "2012-01-01", "2012-12-31",
                                      "2013-01-01", "2013-12-31", "2014-01-01", "2014-12-31"]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2003-02-03", "2018-12-31",
         r"first_test = 2013 needs labelled days from 2001-01-01 on .* the first is 2003-02-03; .* fits is 2016"),
        ("2003-01-03", "2018-12-31", r"the earliest test year that fits is 2015"),
        ("1999-01-04", "2012-12-31", r"the last labelled day is 2012-12-31, so no fold has a test day"),
    ],
)  # fmt: skip
def test_data_that_no_fold_fits_are_an_error_with_the_year_that_fits(first: str, last: str, message: str) -> None:
    days = market_days[(market_days >= first) & (market_days <= last)]
    with pytest.raises(InputError, match=message):
        walk_forward_folds(days, "bundled", config())
    with pytest.raises(InputError, match="no day has both a label and"):
        walk_forward_folds(market_days[:0], "bundled", config())


def test_a_year_that_begins_with_a_holiday_or_a_monthly_bar_is_a_whole_year() -> None:
    for first in ("2001-01-02", "2001-01-31"):
        assert walk_forward_folds(market_days[first <= market_days], "bundled", config())[0].name == "2013"


@pytest.mark.parametrize("wrong", [{"train_years": 0}, {"embargo": -1}, {"window": "sliding"}, {"step_years": 1}])
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        config(**wrong)


def test_the_scheme_s_name_tells_all_that_decides_the_days() -> None:
    names = {
        EvaluationConfig(scheme="walk_forward", walk_forward=config(**change)).identity(source)
        for change in ({}, {"window": "expanding"}, {"train_years": 5}, {"embargo": 0}, {"test_years": 2})
        for source in ("bundled", "live")
    }
    assert len(names) == 10
    assert "rolling-10+1+1+1y-embargo5-from2013" in names
    assert EvaluationConfig(scheme="single", walk_forward=config()).identity("live") == "single"


@pytest.fixture(scope="module")
def tables(bars: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    features = drop_warmup(compute(bars, "a20"), "SP500").reset_index().assign(asset="SP500")
    return features, label(bars, "threshold_1pct", 5).assign(asset="SP500")


def test_a_fold_without_window_and_embargo_is_a_single_split_on_its_dates(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    joined = join(*tables)
    fold = walk_forward_folds(usable_days(joined, 128), "bundled", config(window="expanding", embargo=0))[2]
    rows, scaler = normalise(split_rows(joined, fold, 128))
    ends = SplitDates(train_end=date(2012, 12, 31), calibration_start=date(2014, 1, 1),
                      validation_end=date(2014, 12, 31), test_end=date(2015, 12, 31))  # fmt: skip
    wanted, wanted_scaler = assemble(*tables, ends, 128)
    pd.testing.assert_frame_equal(scaler, wanted_scaler, check_exact=True)
    until = rows["date"] <= "2014-12-31"
    pd.testing.assert_frame_equal(rows[until], wanted[until], check_exact=True)
    # A single split purges its last days of the test; a fold leaves no day untested.
    assert (rows["split"] == "test").sum() == (wanted["split"] == "test").sum() + 5


def test_a_rolling_fold_has_its_context_and_nothing_else_before_and_after(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    joined = join(*tables)
    fold = walk_forward_folds(usable_days(joined, 128), "bundled", config())[1]
    rows = split_rows(joined, fold, 128)
    assert (rows["date"] < "2002-01-01").sum() == 127
    assert (rows.loc[rows["date"] < "2002-01-01", "split"] == UNUSED).all()
    assert rows.loc[127, "split"] == "train"
    assert rows["date"].max() == pd.Timestamp("2014-12-31")
    assert rows.loc[rows["split"] == UNUSED, "label"].isna().all()


def test_what_follows_a_fold_s_development_days_moves_nothing_in_them(bars: pd.DataFrame) -> None:
    def development(bars: pd.DataFrame) -> pd.DataFrame:
        features = drop_warmup(compute(bars, "a20"), "SP500").reset_index().assign(asset="SP500")
        joined = join(features, label(bars, "threshold_1pct", 5).assign(asset="SP500"))
        fold = walk_forward_folds(usable_days(joined, 128), "bundled", config())[1]
        rows, _ = normalise(split_rows(joined, fold, 128))
        return rows[rows["date"] <= fold.periods["calibration"].last]

    later = bars.index > "2013-12-31"
    moved = bars.mul(np.where(later, np.random.default_rng(0).uniform(0.2, 5, len(bars)), 1.0), axis=0)
    # last_known of the rows is of the past; exits are dates.
    pd.testing.assert_frame_equal(development(moved), development(bars), check_exact=True)


def test_files_of_folds_that_are_gone_are_removed_and_the_first_lies_where_a_single_split_does(tmp_path: Path) -> None:
    table, development = tmp_path / "folds.csv", tmp_path / "development.parquet"
    write_csv(table, fold_table(walk_forward_folds(market_days, "bundled", config())))
    folds = read_folds(table)
    assert [fold.of(development).relative_to(tmp_path).as_posix() for fold in folds[:2]] == [
        "development.parquet", "development_folds/2014.parquet",
    ]  # fmt: skip
    assert folds[1].begins == pd.Timestamp("2002-01-01")
    remove_others(development, folds)
    for fold in folds:
        fold.of(development).touch()
    write_csv(table, fold_table([single_fold(SplitDates(train_end=date(2013, 1, 1), validation_end=date(2014, 1, 1)))]))
    (only,) = read_folds(table)
    assert (only.name, only.begins, only.prefix) == ("single", None, "")
    remove_others(development, [only])
    assert development.exists()
    assert [path.name for path in (tmp_path / "development_folds").iterdir()] == ["README"]
