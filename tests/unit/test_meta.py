"""The meta-module: what is clean passes, every planted leak is caught by name, and its verdict is an honest one."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from finscale.errors import InputError
from finscale.evaluation.config import EvaluateConfig
from finscale.meta import judgement
from finscale.meta.base_runs import BaseRun, check_clean, check_closed, extract
from finscale.meta.boosting import check_past, folds, walk_forward
from finscale.meta.inputs import Inputs, join
from finscale.meta.leaks import check_relations
from tests.unit.meta_market import CONFIG, bars, base_run, features, labels, out_of_sample, predictions

JUDGED = EvaluateConfig(resamples=400, confidence=0.95, block_length="auto",
                        conformal_level=0.9, conformal_step=0.02)  # fmt: skip


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    """Turns twice: a line, such as the base models are, sees little of it; trees see it in the day's return."""
    return bars(market="planted", signal=1.0, complexity=2)


@pytest.fixture(scope="module")
def daily(market: pd.DataFrame) -> BaseRun:
    return base_run(market, "daily")


@pytest.fixture(scope="module")
def weekly(market: pd.DataFrame) -> BaseRun:
    return base_run(market, "weekly")


@pytest.fixture(scope="module")
def inputs(market: pd.DataFrame, daily: BaseRun, weekly: BaseRun) -> Inputs:
    return join(labels(market), [daily, weekly], features(market), ("return_1",), "daily")


def run_meta(inputs: Inputs) -> pd.DataFrame:
    return walk_forward(inputs.rows, inputs.names, ("daily_run",), CONFIG, binary=True, seed=0)


def test_clean_inputs_pass_every_rule(market: pd.DataFrame, inputs: Inputs) -> None:
    check_relations(inputs.rows, inputs.names, labels(market), CONFIG.leak_auc)
    assert inputs.names == ("daily_run", "weekly_run", "return_1")
    assert inputs.coverage > 0.99
    # Calibration and test days, and none that trained or chose a base model.
    assert inputs.rows["date"].min() >= pd.Timestamp("2019-01-02")
    assert len(inputs.rows) > 1200


def test_a_weekly_prediction_reaches_a_day_once_its_week_has_closed(inputs: Inputs, weekly: BaseRun) -> None:
    closes = weekly.rows.set_index("date")["prediction"]
    for day in inputs.rows.itertuples():
        assert day.weekly_run == closes[: day.date].iloc[-1]
    wednesday = inputs.rows[inputs.rows["date"].dt.dayofweek == 2]
    assert not wednesday["date"].isin(closes.index).all()


def test_a_stale_weekly_prediction_is_none(market: pd.DataFrame, daily: BaseRun, weekly: BaseRun) -> None:
    ended = replace(weekly, rows=weekly.rows[weekly.rows["date"] < "2020-07-01"])
    joined = join(labels(market), [daily, ended], features(market), (), "daily")
    assert joined.rows["date"].max() <= ended.rows["date"].max() + pd.Timedelta(days=14)
    assert joined.coverage < 0.5


# Rule 1


def test_in_sample_predictions_are_caught(market: pd.DataFrame, daily: BaseRun) -> None:
    everything = predictions(market, "daily")
    with pytest.raises(InputError, match="daily_run: rows of split train are in-sample"):
        extract(everything, "calibrated_none", True, "daily_run")
    # Training days under a false flag: the dates tell.
    disguised = everything.assign(split=everything["split"].replace("train", "test"))
    planted = BaseRun("planted", daily.axes, extract(disguised, "calibrated_none", True, "planted"))
    with pytest.raises(InputError, match=r"base run planted: \d+ predictions are in-sample, the first of 2014-.*2018-"):
        check_clean(planted)
    with pytest.raises(InputError, match="base run planted"):
        join(labels(market), [planted], features(market), (), "daily")


def test_days_that_chose_the_epoch_or_calibrated_are_no_input(market: pd.DataFrame) -> None:
    found = out_of_sample(predictions(market, "daily"))
    raw, calibrated = (extract(found, column, True, "run") for column in ("calibrated_none", "model"))
    assert raw["date"].min() == pd.Timestamp("2019-01-02")  # the first calibration day
    assert calibrated["date"].min() == pd.Timestamp("2020-01-02")  # the first test day
    assert set(raw["known_until"]) == {pd.Timestamp("2018-12-31")}
    assert set(calibrated["known_until"]) == {pd.Timestamp("2019-12-31")}
    early = raw.assign(known_until=calibrated["known_until"].iloc[0])
    with pytest.raises(InputError, match="251 predictions are in-sample, the first of 2019-01-02"):
        check_clean(BaseRun("run", {"timescale": "daily"}, early))


def test_each_fold_of_a_walk_forward_has_its_own_last_day(market: pd.DataFrame) -> None:
    found = out_of_sample(predictions(market, "daily")).assign(fold=0)
    # A second model, a year later: validated on what calibrated the first, tested on a day that the first was, too.
    cut, moved = pd.Timestamp("2021-01-01"), {"validation": "none", "calibration": "validation", "test": "test"}
    later = found.assign(fold=1, split=found["split"].map(moved), calibrated_none=0.25)
    both = pd.concat([found[found["date"] < cut], later[(later["split"] != "none") & (later["date"] >= "2019-01-02")]])
    both = both[(both["fold"] == 0) | (both["split"] == "validation") | (both["date"] >= cut)]
    rows = extract(both, "calibrated_none", True, "run")
    assert not rows.duplicated(["date", "asset"]).any()
    assert set(rows.loc[rows["date"] < cut, "known_until"]) == {pd.Timestamp("2018-12-31")}
    assert set(rows.loc[rows["date"] >= cut, "known_until"]) == {pd.Timestamp("2019-12-31")}
    check_clean(BaseRun("run", {"timescale": "daily"}, rows))


def test_rows_may_tell_themselves_what_their_model_had_seen(market: pd.DataFrame) -> None:
    found = out_of_sample(predictions(market, "daily"))
    alone = found[found["split"] == "test"].assign(fold=3)
    with pytest.raises(InputError, match="fold 3 has neither validation rows nor known_until"):
        extract(alone, "calibrated_none", True, "run")
    told = extract(alone.assign(known_until=pd.Timestamp("2019-06-28")), "calibrated_none", True, "run")
    check_clean(BaseRun("run", {"timescale": "daily"}, told))
    # They cannot talk themselves out of what the table shows.
    lied = extract(found.assign(known_until=pd.Timestamp("2001-01-01")), "calibrated_none", True, "run")
    assert set(lied["known_until"]) == {pd.Timestamp("2018-12-31")}


# Rule 2


def test_a_weekly_prediction_joined_by_calendar_date_is_caught(market: pd.DataFrame, weekly: BaseRun) -> None:
    monday = weekly.rows["date"] - pd.to_timedelta(weekly.rows["date"].dt.dayofweek, unit="D")
    planted = replace(weekly, name="by_week_start", rows=weekly.rows.assign(date=monday))
    with pytest.raises(
        InputError, match=r"by_week_start: \d+ weekly predictions are dated by a day on which their bar"
    ):
        check_closed(planted)
    with pytest.raises(InputError, match="by_week_start"):
        join(labels(market), [planted], features(market), (), "daily")


def test_one_day_early_is_early(weekly: BaseRun) -> None:
    check_closed(weekly)
    rows = weekly.rows.copy()
    rows.loc[40, "date"] -= pd.Timedelta(days=1)
    with pytest.raises(InputError, match="1 weekly predictions are dated by a day"):
        check_closed(replace(weekly, rows=rows))


# Rules 3 and 4


@pytest.mark.parametrize("horizon", [1, 5])
def test_training_rows_lie_before_the_test_with_purge_and_embargo(market: pd.DataFrame, horizon: int) -> None:
    run = base_run(market, "daily", horizon)
    rows = join(labels(market, horizon), [run], features(market), (), "daily").rows
    days, tested, before = np.sort(rows["date"].unique()), [], 0
    for train, test in folds(rows, CONFIG):
        first = rows["date"].iloc[test].min()
        assert rows["exit"].iloc[train].max() < first
        assert np.sum((days > rows["date"].iloc[train].max()) & (days < first)) >= CONFIG.embargo_days
        assert len(train) > before  # the past only grows
        before, tested = len(train), [*tested, *test]
    assert tested == list(range(CONFIG.min_train_days, len(rows)))  # every later day once


def test_a_training_label_that_ends_in_the_test_is_caught(market: pd.DataFrame) -> None:
    rows = labels(market, 5)
    with pytest.raises(InputError, match=r"training labels exit on .*, not before the first test day"):
        check_past(rows.iloc[:300], rows.iloc[300:400], binary=True)
    check_past(rows.iloc[:295], rows.iloc[300:400], binary=True)


def test_nothing_later_than_a_day_changes_its_prediction(inputs: Inputs) -> None:
    original = run_meta(inputs)
    changed = inputs.rows.copy()
    # From the middle of a fold on, so that this fold's own training must not see it either.
    later = changed["date"] >= original["date"].iloc[500]
    changed.loc[later, ["label", "daily_run", "weekly_run", "return_1"]] = 0.0
    again = run_meta(replace(inputs, rows=changed))
    told = ["meta", "base_rate", "average", "best_input", "fold", "known_until"]
    pd.testing.assert_frame_equal(original.loc[:499, told], again.loc[:499, told], check_exact=True)
    assert not np.allclose(original["meta"], again["meta"])
    assert (original["known_until"] < original["date"]).all()


# Rule 5


def with_input(inputs: Inputs, market: pd.DataFrame, horizon: int, shift: int, noise: float) -> pd.DataFrame:
    """The label of `shift` bars later, with normal noise on it, planted among the features."""
    found = labels(market, horizon)
    rng = np.random.default_rng(0)
    planted = found["label"].shift(-shift) + noise * rng.standard_normal(len(found))
    rows = inputs.rows.drop(columns=["label", "exit"]).merge(found.assign(planted=planted), on=["date", "asset"])
    return rows.dropna(subset=["planted", "label"])


@pytest.mark.parametrize(
    ("horizon", "shift", "noise"), [(1, 0, 0.0), (1, 0, 0.4), (1, 1, 0.0), (5, 0, 0.3), (5, -4, 0.0), (5, 3, 0.4)]
)
def test_a_label_among_the_features_is_caught_by_name(
    inputs: Inputs, market: pd.DataFrame, horizon: int, shift: int, noise: float
) -> None:
    rows = with_input(inputs, market, horizon, shift, noise)
    named = r"planted \(AUC .* with the label of " + re.escape(f"{shift:+d} bars)")
    with pytest.raises(InputError, match=named) as caught:
        check_relations(rows, (*inputs.names, "planted"), labels(market, horizon), CONFIG.leak_auc)
    assert "daily_run" not in str(caught.value)


def test_a_model_that_learnt_these_very_days_by_heart_is_caught_whatever_its_dates_say(
    inputs: Inputs, market: pd.DataFrame
) -> None:
    known = inputs.rows[["return_1", "daily_run"]]
    fitted = RandomForestClassifier(50, random_state=0).fit(known, inputs.rows["label"])
    prediction = fitted.predict_proba(known)[:, 1]
    told = inputs.rows[["date", "asset"]].assign(prediction=prediction, known_until=pd.Timestamp("2017-12-29"))
    liar = BaseRun("by_heart", {"timescale": "daily"}, told)
    joined = join(labels(market), [liar], features(market), (), "daily")  # by its dates it is clean
    with pytest.raises(InputError, match=r"by_heart \(AUC"):
        check_relations(joined.rows, joined.names, labels(market), CONFIG.leak_auc)


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_label_that_is_known_by_then_is_no_leak(inputs: Inputs, market: pd.DataFrame, horizon: int) -> None:
    rows = with_input(inputs, market, horizon, shift=-horizon, noise=0.0)
    check_relations(rows, (*inputs.names, "planted"), labels(market, horizon), CONFIG.leak_auc)


def test_a_return_to_come_is_caught_in_a_regression_too(inputs: Inputs, market: pd.DataFrame) -> None:
    found = labels(market).assign(label=market["close"].pct_change().shift(-1).to_numpy()[:-1])
    rows = inputs.rows.merge(found[["date", "label"]].rename(columns={"label": "tomorrow"}), on="date")
    check_relations(rows, inputs.names, found, CONFIG.leak_auc)
    with pytest.raises(InputError, match="tomorrow"):
        check_relations(rows, (*inputs.names, "tomorrow"), found, CONFIG.leak_auc)


# What it finds


def test_what_the_inputs_cannot_see_alone_is_found_together(inputs: Inputs) -> None:
    found = judgement.judge(run_meta(inputs), 1, True, JUDGED)
    assert found["models"]["meta"]["skill"]["low"] > 0
    assert found["verdict"] == dict.fromkeys(("daily_run", "base_rate", "average", "best_input"), "better")


def test_where_there_is_nothing_to_find_the_verdict_is_not_better() -> None:
    nothing = bars(market="random_walk")
    runs = [base_run(nothing, "daily"), base_run(nothing, "weekly")]
    found = judgement.judge(
        run_meta(join(labels(nothing), runs, features(nothing), ("return_1",), "daily")), 1, True, JUDGED
    )
    assert found["models"]["meta"]["skill"]["low"] < 0
    assert "better" not in found["verdict"].values()
    assert judgement.in_words(-0.01, 0.01) == "no difference established"


def test_what_cannot_be_joined_is_an_error(market: pd.DataFrame, daily: BaseRun, weekly: BaseRun) -> None:
    with pytest.raises(InputError, match=r"meta.features names rsi_dayly, which this tier"):
        join(labels(market), [daily], features(market), ("rsi_dayly",), "daily")
    elsewhere = replace(weekly, rows=weekly.rows.assign(asset="other"))
    with pytest.raises(InputError, match=r"no day has a prediction of every run in meta.runs = daily_run, weekly_run"):
        join(labels(market), [daily, elsewhere], features(market), (), "daily")
    with pytest.raises(InputError, match=r"meta.min_train_days = 250 leaves none of the 100 days"):
        list(folds(labels(market).head(100), CONFIG))
