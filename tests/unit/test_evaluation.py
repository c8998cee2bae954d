"""Losses, skill and their intervals: scikit-learn's values, and bounds that hold as often as they say."""

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import CircularBlockBootstrap
from scipy import stats
from scipy.special import expit
from sklearn import metrics as sklearn_metrics

from finscale.config import Task
from finscale.errors import InputError
from finscale.evaluation.bootstrap import (
    MIN_BLOCKS,
    Draws,
    choose_block_length,
    draw_days,
    enclosed_share,
    longest_block,
    resample,
)
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.metrics import information_rows, log_loss_rows, mean_score, skill_score
from finscale.evaluation.ranking import weighted_auc
from finscale.evaluation.scoring import resampling
from finscale.evaluation.secondary import auc_score, secondary_scores

RNG = np.random.default_rng(0)
LOGIT = RNG.normal(size=600)
LABEL = (RNG.random(600) < expit(LOGIT)).astype(float)


def test_log_loss_is_scikit_learn_s() -> None:
    probability = expit(LOGIT)
    assert log_loss_rows(LABEL, probability).mean() == pytest.approx(sklearn_metrics.log_loss(LABEL, probability))


def test_a_certain_wrong_answer_costs_much_but_not_everything() -> None:
    assert np.isfinite(log_loss_rows(np.array([1.0]), np.array([0.0]))).all()


def test_blocks_are_drawn_whole_and_all_assets_of_a_day_together() -> None:
    days = np.repeat(np.arange(50), 2)  # two assets
    draws = draw_days(days, block_length=10, resamples=200, seed=0)
    assert len(draws) == 200
    assert (draws.sizes == 100).all()
    # Days are drawn with their neighbours: counts of adjacent days go together, the last with the first.
    of_day = draws.counts
    rows = RNG.normal(size=100)
    np.testing.assert_allclose(draws.sums(rows), np.repeat(of_day, 2, axis=1) @ rows)
    assert np.corrcoef(of_day[:, 24], of_day[:, 25])[0, 1] > 0.8
    assert np.corrcoef(of_day[:, 49], of_day[:, 0])[0, 1] > 0.8


@pytest.mark.parametrize(("days", "block"), [(749, 38), (10, 3), (37, 37), (5, 1)])
def test_blocks_are_those_of_arch_to_the_last_bit(days: int, block: int) -> None:
    published = CircularBlockBootstrap(block, np.arange(days), seed=4).bootstrap(20)
    counts = [np.bincount(drawn[0][0], minlength=days) for drawn in published]
    np.testing.assert_array_equal(draw_days(np.arange(days), block, 20, seed=4).counts, counts)


def test_days_at_the_ends_are_drawn_as_often_as_those_between() -> None:
    mean = draw_days(np.arange(50), block_length=10, resamples=4000, seed=0).counts.mean(axis=0)
    np.testing.assert_allclose(mean, 1, atol=0.1)  # moving blocks would draw the first day a tenth as often


def test_the_block_grows_with_the_days_the_horizon_and_the_dependence() -> None:
    noise = RNG.normal(size=1000)
    smooth = pd.Series(noise).rolling(200).mean().dropna().to_numpy()
    assert choose_block_length(noise, 5) == 42  # 1.3 sqrt(1000), Lazarus et al. (2018)
    assert choose_block_length(noise[:250], 5) == 21
    assert choose_block_length(smooth, 5) > choose_block_length(noise[: len(smooth)], 5)
    assert choose_block_length(noise, 20) > choose_block_length(noise, 5) == choose_block_length(noise, 1)
    assert choose_block_length(np.ones(1000), 5) == 42  # constant: nothing to choose from


def test_at_least_three_blocks_remain() -> None:
    assert choose_block_length(RNG.normal(size=90), 60) == 30
    assert [longest_block(40, days) for days in (1, 9, 120, 121)] == [1, 3, 40, 40]


@pytest.mark.parametrize(("b", "published"), [(0.02, 2.0195), (0.05, 2.1095), (0.1, 2.2606), (0.2, 2.5663)])
def test_few_blocks_ask_for_the_published_quantiles(b: float, published: float) -> None:
    """Kiefer and Vogelsang (2005), Bartlett: 1.96 + 2.9694 b + 0.4160 b^2 - 0.5324 b^3."""
    enclosed = enclosed_share(0.95, round(b * 1000), 1000)
    assert stats.norm.ppf((1 + enclosed) / 2) == pytest.approx(published, rel=0.02)


def test_intervals_of_independent_days_hold_whatever_the_blocks() -> None:
    """Ten blocks of thirty days: 95 % of 400 intervals, give or take two standard errors; plain percentiles fail."""
    weights, enclosed = resample(np.arange(300), 30, 400, 0.95, seed=0)
    held = {enclosed: 0, 0.95: 0}
    for seed in range(400):
        sample = np.random.default_rng(seed).normal(size=300)
        for share in held:
            score = mean_score(sample, weights, share)
            held[share] += score.low <= 0 <= score.high
    low, high = stats.binom.interval(0.95, 400, 0.95)
    assert low <= held[enclosed] <= high
    assert held[0.95] < low


def test_a_block_that_leaves_fewer_than_three_is_refused() -> None:
    settings = {"resamples": 100, "confidence": 0.95, "conformal_level": 0.9}
    config = EvaluateConfig(**settings, conformal_step=0.02, block_length=201)
    test = pd.DataFrame({"date": pd.bdate_range("2020-01-01", periods=600), "label": LABEL, "model": expit(LOGIT)})
    with pytest.raises(InputError, match=r"block_length = 201, but 600 test days hold fewer than 3 .* at most 200"):
        resampling(test, 5, True, config)


def test_the_interval_of_a_mean_is_wider_when_days_depend_on_each_other() -> None:
    smooth = pd.Series(RNG.normal(size=1200)).rolling(20).mean().dropna().to_numpy()
    widths = []
    for block in (1, 40):
        score = mean_score(smooth, draw_days(np.arange(len(smooth)), block, 500, seed=0), 0.95)
        assert score.low < score.value < score.high
        widths.append(score.high - score.low)
    assert widths[1] > 2 * widths[0]


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        sample = np.random.default_rng(seed).normal(size=300)
        score = mean_score(sample, draw_days(np.arange(300), 5, 300, seed), 0.95)
        covered += score.low <= 0 <= score.high
    assert 0.88 <= covered / 200 <= 0.99


def test_skill_compares_on_the_same_rows() -> None:
    weights = draw_days(np.arange(600), 5, 300, seed=0)
    good, base = log_loss_rows(LABEL, expit(LOGIT)), log_loss_rows(LABEL, np.full(600, LABEL.mean()))
    skill = skill_score(good, base, weights, 0.95)
    assert skill.value == pytest.approx(1 - good.mean() / base.mean())
    assert skill.low > 0
    assert skill_score(base, base, weights, 0.95).high == 0


def test_auc_is_scikit_learn_s_on_weighted_rows() -> None:
    weights = draw_days(np.arange(600), 5, 50, seed=0)
    score = auc_score(LABEL, LOGIT, weights, 0.95)
    assert score.value == sklearn_metrics.roc_auc_score(LABEL, LOGIT)
    assert score.low < score.value < score.high


@pytest.mark.parametrize("score", [LOGIT, LOGIT.round(0), np.zeros(600)], ids=["distinct", "tied", "constant"])
def test_every_resample_s_auc_is_scikit_learn_s(score: np.ndarray) -> None:
    weights = draw_days(np.arange(600), 5, 40, seed=1)
    wanted = [sklearn_metrics.roc_auc_score(LABEL, score, sample_weight=w) for w in weights.counts]
    np.testing.assert_allclose(weighted_auc(LABEL, score, weights), wanted, atol=1e-12)


@pytest.mark.parametrize("score", [LOGIT, LOGIT.round(0)], ids=["distinct", "tied"])
def test_the_auc_of_days_of_many_rows_is_that_of_their_rows_to_the_last_bit(score: np.ndarray) -> None:
    day = np.sort(RNG.integers(0, 40, 600))  # days of different length
    draws = draw_days(day, 5, 300, seed=1)
    rows = Draws.of_rows(draws.counts[:, draws.day])
    np.testing.assert_array_equal(weighted_auc(LABEL, score, draws), weighted_auc(LABEL, score, rows))


def test_a_resample_of_one_class_has_no_auc() -> None:
    weights = np.vstack([LABEL, np.ones(600)])  # the first draws positives only
    assert np.isnan(weighted_auc(LABEL, LOGIT, Draws.of_rows(weights))).tolist() == [True, False]


CLASSIFICATION = {
    "auc": sklearn_metrics.roc_auc_score,
    "brier": sklearn_metrics.brier_score_loss,
    "accuracy": lambda y, p, **w: sklearn_metrics.accuracy_score(y, p > 0.5, **w),
    "precision": lambda y, p, **w: sklearn_metrics.precision_score(y, p > 0.5, zero_division=0, **w),
    "recall": lambda y, p, **w: sklearn_metrics.recall_score(y, p > 0.5, **w),
    "f1": lambda y, p, **w: sklearn_metrics.f1_score(y, p > 0.5, zero_division=0, **w),
}
REGRESSION = {
    "mae": sklearn_metrics.mean_absolute_error,
    "mape": sklearn_metrics.mean_absolute_percentage_error,
    "r2": sklearn_metrics.r2_score,
    "accuracy": lambda y, p, **w: np.average(np.sign(y) == np.sign(p), weights=w.get("sample_weight")),
}
VOLATILITY = {
    "mae": sklearn_metrics.mean_absolute_error,
    "r2": sklearn_metrics.r2_score,
    # scikit-learn's gamma deviance, 2 (v/f - log(v/f) - 1), is twice QLIKE of variances
    "qlike": lambda y, p, **w: sklearn_metrics.mean_gamma_deviance(np.exp(2 * y), np.exp(2 * p), **w) / 2,
}


@pytest.mark.parametrize(
    ("task", "label", "prediction", "wanted"),
    [
        ("direction", LABEL, expit(LOGIT), CLASSIFICATION),
        ("surprise", LABEL, expit(LOGIT - 9), CLASSIFICATION),  # nothing is predicted positive
        ("regression", LOGIT * 0.01, LOGIT * 0.004 + RNG.normal(scale=0.01, size=600), REGRESSION),
        ("volatility", 0.2 * LOGIT - 4, 0.1 * LOGIT - 4, VOLATILITY),
    ],
    ids=["classification", "no positives", "regression", "volatility"],
)
def test_point_values_and_every_resample_are_scikit_learn_s(
    task: Task, label: np.ndarray, prediction: np.ndarray, wanted: dict
) -> None:
    # With one resample both ends of the interval are that resample's value.
    weights = draw_days(np.arange(600), 5, 3, seed=2)
    for one in weights.counts:
        found = secondary_scores(label, prediction, task, Draws.of_rows(one[None, :]), 0.95)
        assert set(found) == set(wanted)
        for name, metric in wanted.items():
            assert found[name].value == pytest.approx(metric(label, prediction)), name
            assert found[name].low == pytest.approx(metric(label, prediction, sample_weight=one)), name
            assert found[name].low == found[name].high


def test_information_is_half_of_clark_and_west_s_adjusted_loss_difference() -> None:
    prediction, base = expit(LOGIT), np.full(600, 0.4)
    squared = (LABEL - base) ** 2 - ((LABEL - prediction) ** 2 - (base - prediction) ** 2)
    np.testing.assert_allclose(information_rows(LABEL, prediction, base), squared / 2, atol=1e-12)


def test_noise_costs_skill_but_no_information() -> None:
    rng = np.random.default_rng(5)
    label, noise = (rng.random(20_000) < 0.4).astype(float), np.clip(0.4 + 0.1 * rng.normal(size=20_000), 0.01, 0.99)
    base, weights = np.full(20_000, 0.4), draw_days(np.arange(20_000), 1, 200, seed=0)
    loss, reference = log_loss_rows(label, noise), log_loss_rows(label, base)
    assert skill_score(loss, reference, weights, 0.95).high < 0
    information = mean_score(information_rows(label, noise, base), weights, 0.95)
    assert information.low < 0 < information.high


@pytest.mark.parametrize("days", range(1, 13))
def test_a_series_of_a_few_days_has_a_block_length(days: int) -> None:
    """Such as the rank correlations of a year in which most days have none."""
    block = choose_block_length(np.random.default_rng(days).normal(size=days), horizon_days=5)
    assert 1 <= block <= max(1, days // MIN_BLOCKS)
