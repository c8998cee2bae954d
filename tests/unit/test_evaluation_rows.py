"""Predictions meet the rows that they are of, each once, or one error says which do not and how to mend it."""

import pandas as pd
import pytest

from finscale.data.folds import StoredFold
from finscale.errors import InputError
from finscale.evaluation.rows import ROW, attach, evaluated_rows, of_fold

ONLY, SECOND = StoredFold("", 0, 1, None), StoredFold("2014", 1, 2, None)


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two symbols on four days, shuffled: one day of each split, a training day among them."""
    days = dict(zip(pd.to_datetime(["2012-01-02", "2013-01-02", "2014-01-02", "2015-01-02"]),
                    ["train", "validation", "calibration", "test"], strict=True))  # fmt: skip
    table = pd.DataFrame([(day, asset, split) for day, split in days.items() for asset in ("B", "A")], columns=ROW)
    return table.assign(label=range(len(table))).sample(frac=1, random_state=0)


@pytest.fixture
def wanted(rows: pd.DataFrame) -> pd.DataFrame:
    return evaluated_rows(rows)


@pytest.fixture
def predicted(wanted: pd.DataFrame) -> pd.DataFrame:
    return wanted[ROW].assign(output=wanted["label"] / 10)


def test_rows_that_are_judged_go_split_after_split_by_symbol_and_day(wanted: pd.DataFrame) -> None:
    assert wanted["split"].tolist() == ["validation"] * 2 + ["calibration"] * 2 + ["test"] * 2
    assert wanted["asset"].tolist() == ["A", "B"] * 3


def test_each_row_gets_its_own_prediction_whatever_their_order(wanted: pd.DataFrame, predicted: pd.DataFrame) -> None:
    joined = attach(wanted, predicted.sample(frac=1, random_state=1), ONLY, "predict")
    pd.testing.assert_frame_equal(joined, wanted.assign(output=wanted["label"] / 10))


def test_of_several_folds_only_the_own_predictions_count(wanted: pd.DataFrame, predicted: pd.DataFrame) -> None:
    first = predicted.assign(output=-1.0, fold="2013")
    both = pd.concat([first, of_fold([predicted], SECOND)])
    assert (attach(wanted, both, SECOND, "predict")["output"] == wanted["label"] / 10).all()


def test_splits_that_are_not_asked_for_may_be_predicted(wanted: pd.DataFrame, predicted: pd.DataFrame) -> None:
    calibration = wanted[wanted["split"] == "calibration"]
    assert len(attach(calibration, predicted, ONLY, "predict")) == 2


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda made: made.iloc[:-1], r"1 rows without a prediction \(the first test 2015-01-02 B\)"),
        (lambda made: made.iloc[[0, *range(len(made))]], r"1 rows predicted twice \(the first validation 2013-01-02 A"),
        (lambda made: made.assign(output=made["output"].mask(made["asset"] == "B")), "3 rows with an empty prediction"),
        (lambda made: made.assign(date=made["date"] + pd.Timedelta(days=1)),
         "6 rows without a prediction .*; 6 rows predicted and not in the data set"),
        (lambda made: made.assign(fold="2013"), "6 rows without a prediction"),
    ],
)  # fmt: skip
def test_what_does_not_match_is_an_error_that_names_the_rows_the_stage_and_the_remedy(
    wanted: pd.DataFrame, predicted: pd.DataFrame, fault: object, told: str
) -> None:
    with pytest.raises(InputError, match=told) as raised:
        attach(wanted, fault(predicted), SECOND if "fold" in fault(predicted) else ONLY, "baselines")
    assert "what stage `baselines` predicted" in str(raised.value)
    assert "`dvc repro --force --single-item baselines`" in str(raised.value)
