"""Baselines predict every row from what was known, and are fitted on the training rows alone."""

import numpy as np
import pandas as pd
import pytest

from finscale.config import Task
from finscale.data.labels import label
from finscale.data.splits import UNUSED
from finscale.evaluation import baselines
from finscale.evaluation.baseline_names import names_in, names_of
from finscale.evaluation.config import BaselinesConfig
from finscale.evaluation.garch import add_deviation
from finscale.evaluation.har import add_past
from finscale.evaluation.metrics import log_loss_rows


@pytest.fixture(scope="module")
def priced(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.reset_index().assign(asset="SP500")


@pytest.fixture(scope="module")
def parts(rows: pd.DataFrame, priced: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return dict(tuple(add_deviation(priced, rows[rows["split"] != UNUSED]).groupby("split")))


def fitted(parts: dict[str, pd.DataFrame], task: Task, iterations: int = 30) -> dict[str, np.ndarray]:
    config = BaselinesConfig(catboost_iterations=iterations, seed=0)
    return baselines.fit_and_predict(parts["train"], parts["validation"], parts["test"], task, config)


def test_every_baseline_predicts_every_row(parts: dict[str, pd.DataFrame]) -> None:
    found = fitted(parts, "threshold_1pct")
    assert tuple(found) == names_of("threshold_1pct")
    for name, values in found.items():
        assert len(values) == len(parts["test"]), name
        assert ((values > 0) & (values < 1)).all(), name
    assert (found["base_rate"] == parts["train"]["label"].mean()).all()


def test_persistence_uses_only_labels_already_known(parts: dict[str, pd.DataFrame]) -> None:
    rates = parts["train"].groupby("last_known")["label"].mean()
    np.testing.assert_array_equal(
        fitted(parts, "threshold_1pct", 5)["persistence"], parts["test"]["last_known"].map(rates)
    )


def test_only_the_volatility_model_sees_the_forecast_of_volatility(parts: dict[str, pd.DataFrame]) -> None:
    shuffled = {
        split: part.assign(deviation=np.random.default_rng(0).permutation(part["deviation"]))
        for split, part in parts.items()
    }
    found, other = fitted(parts, "threshold_1pct", 5), fitted(shuffled, "threshold_1pct", 5)
    for name in names_of("threshold_1pct"):
        assert np.array_equal(found[name], other[name]) == (name != "volatility"), name


def test_baselines_of_a_regression_predict_returns(parts: dict[str, pd.DataFrame]) -> None:
    returns = {
        split: part.assign(label=part["label"] * 0.01, last_known=part["last_known"] * 0.01)
        for split, part in parts.items()
    }
    found = fitted(returns, "regression")
    assert tuple(found) == names_of("regression")
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    assert abs(found["catboost"]).max() < 0.05
    assert (found["zero"] == 0).all()
    np.testing.assert_array_equal(found["last_return"], returns["test"]["last_known"])


def test_volatility_alone_beats_the_base_rate_on_a_threshold(parts: dict[str, pd.DataFrame]) -> None:
    test, found = parts["test"], fitted(parts, "threshold_1pct", 5)
    loss = {name: log_loss_rows(test["label"].to_numpy(), found[name]).mean() for name in ("volatility", "base_rate")}
    assert loss["volatility"] < loss["base_rate"]


def test_a_day_s_volatility_forecast_does_not_move_with_later_prices(rows: pd.DataFrame, priced: pd.DataFrame) -> None:
    labelled = rows[rows["split"] != UNUSED]
    whole = add_deviation(priced, labelled)["deviation"]
    # After the last training day: parameters are fitted before, so later prices may change nothing at all.
    cut = pd.Timestamp("2016-06-30")
    rng = np.random.default_rng(0)
    later = priced["date"] > cut
    moved = priced.assign(close=priced["close"] * np.where(later, rng.uniform(0.5, 2, len(priced)), 1.0))
    changed = add_deviation(moved, labelled)["deviation"]
    until = labelled["date"] <= cut
    pd.testing.assert_series_equal(changed[until], whole[until], check_exact=True)
    assert not np.allclose(changed[~until], whole[~until])


def test_the_forecast_deviation_is_as_large_as_the_returns_that_follow(
    rows: pd.DataFrame, priced: pd.DataFrame
) -> None:
    labelled = rows[rows["split"] != UNUSED]
    close = priced.set_index("date")["close"]
    outcome = np.log(close.loc[labelled["exit"]].to_numpy() / close.loc[labelled["date"]].to_numpy())
    standard = outcome / add_deviation(priced, labelled)["deviation"].to_numpy()
    assert standard.std() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("task", ["volatility", "surprise"])
def test_tasks_of_volatility_have_har_and_garch_beside_the_usual_baselines(
    task: Task, parts: dict[str, pd.DataFrame], priced: pd.DataFrame, bars: pd.DataFrame
) -> None:
    labels = label(bars, task, 5).set_index("date")
    own = {
        split: add_past(
            priced, part.drop(columns=["label", "last_known"]).join(labels[["label", "last_known"]], on="date")
        )
        for split, part in parts.items()
    }
    found = fitted(own, task, 5)
    assert tuple(found) == names_of(task)
    assert {"har"} < set(found)
    assert set(names_in(pd.DataFrame(found).assign(model=0.0))) == set(found)
    other = fitted({split: part.assign(realised_5=part["realised_22"]) for split, part in own.items()}, task, 5)
    assert [name for name in found if not np.array_equal(found[name], other[name])] == ["har"]
