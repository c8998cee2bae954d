import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import metrics as sklearn_metrics

from finscale.evaluation import baselines
from finscale.evaluation.bootstrap import choose_block_length, row_weights
from finscale.evaluation.calibration import fit_temperature, probabilities
from finscale.evaluation.metrics import (
    auc_score,
    log_loss_rows,
    mean_score,
    reliability,
    secondary_scores,
    skill_score,
)

RNG = np.random.default_rng(0)
LOGIT = RNG.normal(size=600)
LABEL = (RNG.random(600) < expit(LOGIT)).astype(float)


def test_log_loss_is_scikit_learn_s() -> None:
    probability = expit(LOGIT)
    assert log_loss_rows(LABEL, probability).mean() == pytest.approx(sklearn_metrics.log_loss(LABEL, probability))


def test_a_certain_wrong_answer_costs_much_but_not_everything() -> None:
    assert np.isfinite(log_loss_rows(np.array([1.0]), np.array([0.0]))).all()


def test_temperature_scaling_undoes_overconfidence() -> None:
    assert fit_temperature(LOGIT * 3, LABEL) == pytest.approx(3 * fit_temperature(LOGIT, LABEL), rel=1e-3)
    assert fit_temperature(LOGIT, LABEL) == pytest.approx(1.0, abs=0.25)
    calibrated = probabilities(LOGIT * 3, fit_temperature(LOGIT * 3, LABEL))
    assert log_loss_rows(LABEL, calibrated).mean() <= log_loss_rows(LABEL, probabilities(LOGIT * 3, 1.0)).mean()


def test_blocks_are_drawn_whole_and_all_assets_of_a_day_together() -> None:
    days = np.repeat(np.arange(50), 2)  # two assets
    weights = row_weights(days, block_length=10, resamples=200, seed=0)
    assert weights.shape == (200, 100)
    assert (weights.sum(axis=1) == 100).all()
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])
    # Days in the middle are drawn with their neighbours: counts of adjacent days go together.
    middle = weights[:, ::2]
    assert np.corrcoef(middle[:, 24], middle[:, 25])[0, 1] > 0.8


def test_the_block_grows_with_dependence_and_is_at_least_the_horizon() -> None:
    noise = RNG.normal(size=1000)
    smooth = pd.Series(noise).rolling(20).mean().dropna().to_numpy()
    assert choose_block_length(smooth, 5) > choose_block_length(noise, 5) >= 5
    with np.errstate(invalid="ignore"):  # arch divides by the variance
        assert choose_block_length(np.ones(100), 5) == 5


def test_the_interval_of_a_mean_is_wider_when_days_depend_on_each_other() -> None:
    smooth = pd.Series(RNG.normal(size=1200)).rolling(20).mean().dropna().to_numpy()
    widths = []
    for block in (1, 40):
        score = mean_score(smooth, row_weights(np.arange(len(smooth)), block, 500, seed=0), 0.95)
        assert score.low < score.value < score.high
        widths.append(score.high - score.low)
    assert widths[1] > 2 * widths[0]


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        sample = np.random.default_rng(seed).normal(size=300)
        score = mean_score(sample, row_weights(np.arange(300), 5, 300, seed), 0.95)
        covered += score.low <= 0 <= score.high
    assert 0.88 <= covered / 200 <= 0.99


def test_skill_compares_on_the_same_rows() -> None:
    weights = row_weights(np.arange(600), 5, 300, seed=0)
    good, base = log_loss_rows(LABEL, expit(LOGIT)), log_loss_rows(LABEL, np.full(600, LABEL.mean()))
    skill = skill_score(good, base, weights, 0.95)
    assert skill.value == pytest.approx(1 - good.mean() / base.mean())
    assert skill.low > 0
    assert skill_score(base, base, weights, 0.95).high == 0


def test_auc_is_scikit_learn_s_on_weighted_rows() -> None:
    weights = row_weights(np.arange(600), 5, 50, seed=0)
    score = auc_score(LABEL, LOGIT, weights, 0.95)
    assert score.value == sklearn_metrics.roc_auc_score(LABEL, LOGIT)
    assert score.low < score.value < score.high


def test_secondary_metrics_fit_the_task() -> None:
    weights = row_weights(np.arange(600), 5, 50, seed=0)
    binary = secondary_scores(LABEL, expit(LOGIT), True, weights, 0.95)
    assert binary["accuracy"].value == pytest.approx(sklearn_metrics.accuracy_score(LABEL, LOGIT > 0))
    assert binary["brier"].value == pytest.approx(sklearn_metrics.brier_score_loss(LABEL, expit(LOGIT)))
    regression = secondary_scores(LOGIT, -LOGIT, False, weights, 0.95)
    assert regression["accuracy"].value == 0
    assert regression["mae"].value == pytest.approx(2 * np.abs(LOGIT).mean())


def test_reliability_bins_hold_equal_numbers_and_all_rows() -> None:
    table = reliability(LABEL, expit(LOGIT))
    assert table["rows"] == [60] * 10
    assert table["predicted"] == sorted(table["predicted"])
    assert np.average(table["observed"], weights=table["rows"]) == pytest.approx(LABEL.mean())


@pytest.fixture(scope="module")
def parts(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {split: rows[rows["split"] == split] for split in ("train", "validation", "test")}


def test_every_baseline_predicts_every_row(parts: dict[str, pd.DataFrame]) -> None:
    found = baselines.fit_and_predict(parts["train"], parts["validation"], parts["test"], True, 30, seed=0)
    assert tuple(found) == baselines.BASELINES
    for name, values in found.items():
        assert len(values) == len(parts["test"]), name
        assert ((values > 0) & (values < 1)).all(), name
    assert (found["base_rate"] == parts["train"]["label"].mean()).all()


def test_persistence_uses_only_labels_already_known(parts: dict[str, pd.DataFrame]) -> None:
    train, test = parts["train"], parts["test"]
    found = baselines.fit_and_predict(train, parts["validation"], test, True, 5, seed=0)["persistence"]
    rates = train.groupby("last_known")["label"].mean()
    np.testing.assert_array_equal(found, test["last_known"].map(rates))


def test_baselines_of_a_regression_predict_returns(parts: dict[str, pd.DataFrame]) -> None:
    returns = {
        split: part.assign(label=part["label"] * 0.01, last_known=part["last_known"] * 0.01)
        for split, part in parts.items()
    }
    found = baselines.fit_and_predict(returns["train"], returns["validation"], returns["test"], False, 30, seed=0)
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    assert abs(found["catboost"]).max() < 0.05
