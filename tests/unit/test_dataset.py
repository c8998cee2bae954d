"""The dataset: purged splits that lose no day, a scaler that knows training rows alone, and what stops the run."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from finscale.calendar import sessions
from finscale.data.config import DatasetConfig, MinRows, SourceDates, SplitConfig, SplitDates
from finscale.data.dataset import assemble, check_splits, describe, feature_names, fit_scaler
from finscale.data.splits import SPLITS, assign_splits, single_fold
from finscale.data.windows import Windows
from finscale.errors import InputError
from tests.conftest import ENDS, rows_of

SPLIT = SplitConfig(bundled=ENDS, live=ENDS, long=SourceDates(bundled=ENDS, live=ENDS))
CONFIG = DatasetConfig(context_reserve=128, min_rows=MinRows(daily=100, long=60), min_positives=20, split=SPLIT)
CPU = torch.device("cpu")


def days(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def test_a_day_belongs_to_the_split_that_holds_its_label_s_exit() -> None:
    dates = pd.Series(pd.to_datetime(["2013-12-30", "2013-12-31", "2014-01-02", "2018-12-31", "2018-12-28"]))
    exits = pd.Series(pd.to_datetime(["2013-12-31", "2014-01-02", "2014-01-03", "2019-01-02", None]))
    assert assign_splits(dates, exits, single_fold(ENDS)).tolist() == ["train", "none", "validation", "none", "none"]


def test_no_label_of_a_split_uses_a_price_of_the_next(rows: pd.DataFrame) -> None:
    last = {"train": "2013-12-31", "validation": "2014-12-31", "calibration": "2015-12-31", "test": "2018-12-31"}
    for split, end in last.items():
        part = rows[rows["split"] == split]
        assert (part["exit"] <= days(end)).all()
    purged = rows[(rows["date"] > days("2013-12-23")) & (rows["date"] <= days("2013-12-31"))]
    assert (purged["split"] == "none").all()
    assert purged["label"].isna().all()


def test_splits_keep_all_their_days_and_reach_back_for_context(rows: pd.DataFrame) -> None:
    validation = rows[rows["split"] == "validation"]["date"]
    assert validation.min() == days("2014-01-02")
    assert len(validation) == len(sessions(days("2014-01-01"), days("2014-12-31"))) - 5
    assert (rows["split"] == "calibration").sum() == len(sessions(days("2015-01-01"), days("2015-12-31"))) - 5
    windows = Windows(rows, "validation", 60, CPU)
    first, _ = windows.gather(torch.tensor([0]))
    before = rows[rows["date"] <= days("2014-01-02")].tail(60)
    np.testing.assert_array_equal(first[0].numpy(), before[feature_names(rows)].to_numpy())


def test_every_labelled_day_is_one_window_whatever_the_context(rows: pd.DataFrame) -> None:
    for split in SPLITS:
        wanted = rows.loc[rows["split"] == split, "date"].tolist()
        for context in (32, 60, 128):
            windows = Windows(rows, split, context, CPU)
            assert windows.keys["date"].tolist() == wanted
            x_BLC, y_B = windows.gather(torch.arange(len(windows)))
            assert x_BLC.shape == (len(wanted), context, 20)
            assert y_B.tolist() == rows.loc[rows["split"] == split, "label"].tolist()


def test_a_context_longer_than_the_history_is_an_error_not_a_dropped_day(rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"context_length = 200 needs more history .* \(128 rows\)"):
        Windows(rows, "train", 200, CPU)


def test_the_scaler_knows_the_training_rows_alone(rows: pd.DataFrame) -> None:
    train = rows.loc[rows["split"] == "train", feature_names(rows)]
    np.testing.assert_allclose(train.mean(), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(ddof=0), 1, atol=1e-5)
    assert abs(rows.loc[rows["split"] == "test", "sma_200"].mean()) > 1  # prices rose: not re-centred


def test_a_constant_feature_stops_the_run() -> None:
    dates = sessions(days("2012-01-03"), days("2018-12-31"))
    features = pd.DataFrame({"date": dates, "asset": "X", "level": 1.0, "noise": np.arange(len(dates)) % 7.0})
    labels = pd.DataFrame({"date": dates, "asset": "X", "label": 0.0, "exit": dates, "last_known": np.nan})
    with pytest.raises(InputError, match="constant or empty on the training rows: level"):
        assemble(features, labels, ENDS, context_reserve=10)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (
            {"validation_end": date(2014, 3, 1)},
            r"the validation split has \d+ rows, fewer than dataset.min_rows.daily",
        ),
        ({"train_end": date(2000, 3, 1)}, r"the train split has \d+ rows, fewer than dataset.min_rows.daily"),
    ],
)
def test_a_split_that_is_too_short_stops_the_run(bars: pd.DataFrame, ends: dict, message: str) -> None:
    summary = describe(rows_of(bars, ENDS.model_copy(update=ends), 30), "threshold_1pct")
    with pytest.raises(InputError, match=message):
        check_splits(summary, "threshold_1pct", "daily", CONFIG)


def test_too_few_positives_stop_the_run(rows: pd.DataFrame) -> None:
    few = rows.assign(label=rows["label"].where(rows["split"] != "test", 0.0))
    with pytest.raises(InputError, match=r"the test split has 0 positives .* fewer than dataset.min_positives = 20"):
        check_splits(describe(few, "threshold_1pct"), "threshold_1pct", "daily", CONFIG)
    check_splits(describe(rows, "threshold_1pct"), "threshold_1pct", "daily", CONFIG)


def test_a_train_split_without_rows_says_what_to_change() -> None:
    with pytest.raises(InputError, match=r"the train split has no labelled row .* use a longer series"):
        fit_scaler(pd.DataFrame({"rsi_daily": []}))


def test_split_dates_must_ascend() -> None:
    with pytest.raises(ValidationError, match="must follow each other"):
        SplitDates(train_end=date(2015, 1, 1), validation_end=date(2014, 1, 1))
