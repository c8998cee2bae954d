"""Calibration makes probabilities honest; conformal sets hold what they promise."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from finscale.errors import InputError
from finscale.evaluation.base_rate import base_rate
from finscale.evaluation.bootstrap import draw_days
from finscale.evaluation.calibration import (
    METHODS,
    calibrated,
    calibration_error,
    fit_all,
    fit_shrinkage,
    fit_temperature,
    probabilities,
    reliability,
)
from finscale.evaluation.conformal import _bars, _intervals, _levels, _Rows, _sets, conform
from finscale.evaluation.metrics import log_loss_rows

RNG = np.random.default_rng(0)
LOGIT = RNG.normal(size=4000)
LABEL = (RNG.random(4000) < expit(LOGIT)).astype(float)
RATE = 0.5  # of the training rows, which these logits and labels are symmetric about
WEIGHTS = draw_days(np.arange(4000), 5, 200, seed=0)


def loss(probability: np.ndarray) -> float:
    return float(log_loss_rows(LABEL, probability).mean())


def test_temperature_scaling_undoes_overconfidence() -> None:
    assert fit_temperature(LOGIT * 3, LABEL) == pytest.approx(3 * fit_temperature(LOGIT, LABEL), rel=1e-3)
    assert fit_temperature(LOGIT, LABEL) == pytest.approx(1.0, abs=0.1)
    assert loss(probabilities(LOGIT * 3, fit_temperature(LOGIT * 3, LABEL))) < loss(probabilities(LOGIT * 3, 1.0))


KNOWN = 0.62  # a base rate of training rows that is not 1/2, as rises of a stock index have one


def outcomes(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    return (rng.random(len(logits)) < expit(logits)).astype(float)


def log_odds(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))


def test_where_logits_know_nothing_shrinkage_ends_at_the_base_rate_and_temperature_at_one_half() -> None:
    # In the calibration year every logit fell as often as it rose; the years after are again like those of training.
    rng = np.random.default_rng(7)
    noise = rng.normal(size=60)
    own = log_odds(KNOWN) + np.repeat(np.concatenate([noise, -noise]), 2)
    fitted = fit_all(own, np.tile([0.0, 1.0], 120), KNOWN)
    assert fitted["shrinkage"] == {"temperature": pytest.approx(20, rel=0.01), "base_rate": KNOWN}
    later = log_odds(KNOWN) + rng.normal(size=20000)
    happened = outcomes(rng, np.full(20000, log_odds(KNOWN)))
    base = log_loss_rows(happened, np.full(20000, KNOWN)).mean()
    above = {name: log_loss_rows(happened, calibrated(later, fitted, name)).mean() - base for name in METHODS}
    assert calibrated(later, fitted, "shrinkage") == pytest.approx(KNOWN, abs=0.06)
    assert calibrated(later, fitted, "temperature") == pytest.approx(0.5, abs=0.06)
    assert above["shrinkage"] == pytest.approx(0, abs=0.001)
    assert min(above[name] for name in METHODS if name != "shrinkage") > 0.02


@pytest.mark.parametrize("planted", [0.5, 1.0, 3.0])
def test_shrinkage_finds_how_far_informative_logits_are_from_the_truth(planted: float) -> None:
    rng = np.random.default_rng(8)
    truth = log_odds(KNOWN) + rng.normal(size=20000)
    told = log_odds(KNOWN) + (truth - log_odds(KNOWN)) * planted
    fitted = fit_shrinkage(told, outcomes(rng, truth), KNOWN)
    assert fitted == {"temperature": pytest.approx(planted, rel=0.1), "base_rate": KNOWN}
    np.testing.assert_allclose(probabilities(told, planted, KNOWN), expit(truth))


def test_shrinkage_keeps_the_ranks_and_a_temperature_of_one_every_bit() -> None:
    np.testing.assert_array_equal(probabilities(LOGIT, 1.0, KNOWN), expit(LOGIT))
    for temperature in (0.05, 0.7, 20.0):
        shrunk = probabilities(LOGIT, temperature, KNOWN)
        assert roc_auc_score(LABEL, shrunk) == pytest.approx(roc_auc_score(LABEL, LOGIT), abs=1e-6)
    np.testing.assert_array_equal(probabilities(LOGIT, 3.0, 0.5), probabilities(LOGIT, 3.0))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_base_rate_of_one_class_is_no_certainty(rate: float) -> None:
    fitted = fit_all(LOGIT, LABEL, rate)
    assert np.isfinite(log_loss_rows(LABEL, calibrated(LOGIT, fitted, "shrinkage"))).all()
    assert probabilities(np.zeros(1), 1e9, rate) == pytest.approx(rate, abs=2e-6)


def test_no_training_row_no_base_rate() -> None:
    rows = pd.DataFrame({"split": ["validation", "train"], "label": [1.0, np.nan]})
    with pytest.raises(InputError, match="none of 2 rows is a training row with a label"):
        base_rate(rows)


def test_platt_undoes_a_stretch_and_a_shift() -> None:
    fitted = fit_all(LOGIT * 3 - 2, LABEL, RATE)
    assert fitted["platt"]["slope"] == pytest.approx(1 / 3, abs=0.03)
    assert fitted["platt"]["intercept"] == pytest.approx(2 / 3, abs=0.1)
    assert loss(calibrated(LOGIT * 3 - 2, fitted, "platt")) < loss(calibrated(LOGIT * 3 - 2, fitted, "temperature"))


def test_isotonic_undoes_any_rising_distortion_and_is_never_certain() -> None:
    distorted = np.sign(LOGIT) * np.abs(LOGIT) ** 3
    fitted = fit_all(distorted, LABEL, RATE)
    isotonic = calibrated(np.sort(distorted), fitted, "isotonic")
    assert (np.diff(isotonic) >= 0).all()
    assert calibrated(np.array([-1e9, 1e9]), fitted, "isotonic").min() > 0
    assert calibrated(np.array([-1e9, 1e9]), fitted, "isotonic").max() < 1
    assert loss(calibrated(distorted, fitted, "isotonic")) < loss(calibrated(distorted, fitted, "platt"))


def test_no_method_spoils_what_is_calibrated_already() -> None:
    half = slice(0, 2000)
    fitted = fit_all(LOGIT[half], LABEL[half], RATE)
    tolerance = dict.fromkeys(METHODS, 0.003) | {"isotonic": 0.02}  # as many numbers as steps: it learns noise
    for method in METHODS:
        rest = log_loss_rows(LABEL[2000:], calibrated(LOGIT[2000:], fitted, method)).mean()
        assert rest == pytest.approx(log_loss_rows(LABEL[2000:], expit(LOGIT[2000:])).mean(), abs=tolerance[method]), (
            method
        )


def test_reliability_bins_hold_equal_numbers_and_all_rows() -> None:
    table = reliability(LABEL, expit(LOGIT), WEIGHTS, 0.95)
    assert table["rows"].tolist() == [400] * 10
    assert table["predicted"].is_monotonic_increasing
    assert np.average(table["observed"], weights=table["rows"]) == pytest.approx(LABEL.mean())
    assert ((table["low"] < table["predicted"]) & (table["predicted"] < table["high"])).sum() >= 8


def test_the_calibration_error_is_the_mean_gap_of_the_reliability_diagram() -> None:
    table = reliability(LABEL, expit(LOGIT * 3), WEIGHTS, 0.95)
    gap = np.average((table["predicted"] - table["observed"]).abs(), weights=table["rows"])
    score = calibration_error(LABEL, expit(LOGIT * 3), WEIGHTS, 0.95)
    assert score.value == pytest.approx(gap)
    assert score.low <= score.value <= score.high
    assert calibration_error(LABEL, expit(LOGIT), WEIGHTS, 0.95).high < score.low


def days(n: int, horizon: int) -> pd.DataFrame:
    dates = pd.bdate_range("2014-01-01", periods=n)
    return pd.DataFrame({"date": dates, "asset": "X", "exit": dates + pd.offsets.BDay(horizon)})


def test_split_conformal_covers_what_it_promises_where_days_are_alike() -> None:
    rng = np.random.default_rng(2)
    frame = days(2500, 1).assign(label=rng.normal(scale=0.01, size=2500), model=0.0)
    found = conform(frame[:999], frame[1000:], binary=False, level=0.9, step=0.02)
    assert found["split_covered"].mean() == pytest.approx(0.9, abs=0.02)
    assert found["split_width"].nunique() == 1
    assert found["split_width"].iloc[0] == pytest.approx(2 * 1.645 * 0.01, rel=0.1)


def test_the_adaptive_method_keeps_its_promise_when_volatility_trebles() -> None:
    rng = np.random.default_rng(3)
    scale = np.where(np.arange(1200) < 600, 0.01, 0.03)
    frame = days(1200, 5).assign(label=rng.normal(size=1200) * scale, model=0.0)
    found = conform(frame[:295], frame[300:], binary=False, level=0.9, step=0.02)
    late = found.iloc[400:]
    assert late["split_covered"].mean() < 0.6
    assert late["adaptive_covered"].mean() == pytest.approx(0.9, abs=0.04)
    assert late["adaptive_width"].mean() > 2 * late["split_width"].mean()


def test_sets_of_classes_cover_and_shrink_with_confidence() -> None:
    rng = np.random.default_rng(4)
    probability = rng.uniform(size=1500)
    frame = days(1500, 1).assign(label=(rng.random(1500) < probability).astype(float), model=probability)
    found = conform(frame[:499], frame[500:], binary=True, level=0.9, step=0.02)
    for method in ("split", "adaptive"):
        assert found[f"{method}_covered"].mean() == pytest.approx(0.9, abs=0.03)
        assert set(found[f"{method}_width"]) <= {0.0, 1.0, 2.0}
    sure = np.abs(frame["model"].to_numpy()[500:] - 0.5) > 0.45
    assert found.loc[sure, "split_width"].mean() < found.loc[~sure, "split_width"].mean()


def test_no_set_depends_on_a_label_whose_exit_has_not_come() -> None:
    rng = np.random.default_rng(6)
    frame = days(500, 5).assign(label=rng.normal(size=500), model=0.0)
    found = conform(frame[:195], frame[200:], binary=False, level=0.9, step=0.05)
    cut = frame["date"].iloc[300]
    changed = frame.assign(label=frame["label"].where(frame["exit"] <= cut, 99.0))
    moved = conform(changed[:195], changed[200:], binary=False, level=0.9, step=0.05)
    until = (found["date"] <= cut).to_numpy()
    assert (found["adaptive_width"] == moved["adaptive_width"])[until].all()
    assert not (found["adaptive_width"] == moved["adaptive_width"])[~until].all()


def test_too_few_calibration_rows_for_a_level_are_an_error() -> None:
    frame = days(60, 1).assign(label=0.01, model=0.0)
    with pytest.raises(InputError, match=r"conformal_level = 0.99 needs at least 100 calibration rows, there are 30"):
        conform(frame[:30], frame[31:], binary=False, level=0.99, step=0.02)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("rows", [60, 999])
def test_the_adaptive_bars_are_mapie_s_at_every_level(binary: bool, rows: int) -> None:
    rng = np.random.default_rng(4)
    model = rng.random(2 * rows).round(2) if binary else rng.normal(size=2 * rows)  # with ties
    label = (rng.random(2 * rows) < model).astype(float) if binary else model + rng.normal(size=2 * rows)
    frame = pd.DataFrame({"model": model, "label": label})
    calibration, test = frame[:rows], frame[rows:]
    levels = _levels(0.9, rows)[::20]
    past, now = (_Rows(part["model"].to_numpy(), part["label"].to_numpy(), binary) for part in (calibration, test))
    bars = _bars(past.scores(), np.array([float(1 - Decimal(str(level))) for level in levels]))
    for level, bar in zip(levels, bars, strict=True):
        wanted = (_sets if binary else _intervals)(calibration, test, float(level))
        np.testing.assert_array_equal(now.at(np.arange(rows), bar), wanted)
