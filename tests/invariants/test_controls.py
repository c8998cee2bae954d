"""Controls: where there is nothing to find nothing is found too often; where there is something, all of it is.

Two-sided: an interval of 95 % that excludes `no skill`, on either side, 5 times in 100. One-sided: an interval of skill
over the base rate that lies above 0, the verdict `better than the base rate`, at most 2.5 times in 100.

A fitted model is truly worse than the base rate where nothing can be predicted, so its log-loss skill is below 0 and
`better` comes up less often than 2.5 %. What is exactly 0 there is the information that Clark and West's statistic
measures, and exactly 1/2 the AUC: it is their rate that has to be 5 %.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from scipy import stats
from sklearn.linear_model import LogisticRegression

from finscale.bars import adjust
from finscale.errors import InputError
from finscale.evaluation import metrics
from finscale.evaluation.bootstrap import choose_block_length, row_weights
from finscale.labels import label
from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import best_log_loss, last_sessions, law, simulate, symbols
from finscale.validation import validate

RUNS = {1: 200, 5: 120}  # per horizon
TRAIN, TEST = 900, 600
END = date(2023, 12, 29)


def market(days: pd.DatetimeIndex, **settings: object) -> pd.DataFrame:
    return adjust(simulate(SimulatedConfig(sessions=len(days), **settings), days)).set_index("date")


def table(bars: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """A few features of the past and the direction that followed."""
    returns = np.log(bars["close"]).diff()
    features = pd.DataFrame(
        {
            "return_1": returns,
            "return_5": returns.rolling(5).sum(),
            "return_20": returns.rolling(20).sum(),
            "volatility_20": returns.rolling(20).std(),
        }
    ).dropna()
    labels = label(bars, "direction", horizon).set_index("date")[["label"]]
    return features.join(labels, how="inner")


def verdicts(bars: pd.DataFrame, horizon: int) -> dict[str, bool]:
    """What one run of a cheap model on a random walk would claim."""
    rows = table(bars, horizon)
    train, test = rows.iloc[: TRAIN - horizon], rows.iloc[TRAIN : TRAIN + TEST]  # purged
    x, truth = rows.drop(columns="label").to_numpy(), test["label"].to_numpy()
    x = (x - x[: len(train)].mean(axis=0)) / x[: len(train)].std(axis=0)
    model = LogisticRegression().fit(x[: len(train)], train["label"])
    p = model.predict_proba(x[TRAIN : TRAIN + TEST])[:, 1]
    base = np.full(len(truth), train["label"].mean())
    loss, reference = metrics.log_loss_rows(truth, p), metrics.log_loss_rows(truth, base)
    block = choose_block_length(loss, horizon)
    sample = (row_weights(np.arange(len(truth)), block, 300, seed=0), 0.95)
    information = metrics.mean_score(metrics.information_rows(truth, p, base), *sample)
    auc = metrics.auc_score(truth, p, *sample)
    one_by_one = (row_weights(np.arange(len(truth)), 1, 300, seed=0), 0.95)
    without_blocks = metrics.mean_score(metrics.information_rows(truth, p, base), *one_by_one)
    return {
        "better": metrics.skill_score(loss, reference, *sample).low > 0,
        "information": information.low > 0 or information.high < 0,
        "auc": auc.low > 0.5 or auc.high < 0.5,
        "without blocks": without_blocks.low > 0 or without_blocks.high < 0,
    }


@pytest.fixture(scope="module")
def claims() -> dict[int, pd.DataFrame]:
    """Per horizon: one row per random walk, what was claimed of it."""
    days = last_sessions(date(2010, 1, 1), END, TRAIN + TEST + 40)
    markets = [market(days, seed=seed) for seed in range(max(RUNS.values()))]
    return {h: pd.DataFrame([verdicts(bars, h) for bars in markets[:runs]]) for h, runs in RUNS.items()}


@pytest.mark.parametrize("claim", ["information", "auc"])
def test_on_a_random_walk_skill_is_significant_five_times_in_a_hundred(
    claim: str, claims: dict[int, pd.DataFrame]
) -> None:
    low, high = stats.binom.interval(0.95, RUNS[1], 0.05)
    assert low <= claims[1][claim].sum() <= high


@pytest.mark.parametrize("horizon", RUNS)
def test_on_a_random_walk_a_model_is_called_better_no_more_often_than_stated(
    horizon: int, claims: dict[int, pd.DataFrame]
) -> None:
    assert claims[horizon]["better"].sum() <= stats.binom.ppf(0.975, RUNS[horizon], 0.025)


def test_overlapping_labels_need_blocks(claims: dict[int, pd.DataFrame]) -> None:
    # Measured over 200 runs: with labels of five days that overlap, 600 test days and slow features, the block
    # bootstrap claims 9.5 times in a hundred rather than 5 (AUC 12.5): it is only asymptotically right. Drawing days
    # one by one claims 27 times in a hundred.
    rates = claims[5].mean()
    assert rates["information"] < 0.15
    assert rates["without blocks"] > 1.5 * rates["information"]


def test_nothing_says_more_of_the_planted_market_than_its_law_does() -> None:
    # signal 1, complexity 1: P is uniform, and the mean entropy of a uniform probability is exactly 1/2.
    assert best_log_loss(SimulatedConfig(market="planted", signal=1.0)) == pytest.approx(0.5, abs=1e-8)
    assert best_log_loss(SimulatedConfig(market="planted", signal=0.0)) == pytest.approx(np.log(2))
    assert best_log_loss(SimulatedConfig()) == pytest.approx(np.log(2))


@pytest.mark.parametrize("complexity", [1, 2, 4])
def test_the_bound_is_what_the_law_itself_scores(complexity: int) -> None:
    config = SimulatedConfig(market="planted", sessions=8000, complexity=complexity, seed=3)
    bars = simulate(config, last_sessions(date(1990, 1, 1), END, 8000))
    z = np.log(bars["close"]).diff().to_numpy()[1:] / 0.01
    assert stats.kstest(z, "norm").pvalue > 0.01
    p = stats.norm.cdf(config.signal * law(z[:-1], complexity))
    loss = metrics.log_loss_rows((z[1:] > 0).astype(float), p)
    assert abs(loss.mean() - best_log_loss(config)) < 3 * loss.std() / np.sqrt(len(loss))


def regret(sessions: int, complexity: int, learner: object) -> float:
    """Expected log-loss above the bound, as a share of the skill there is, of a model that sees the day's return."""
    config = SimulatedConfig(market="planted", sessions=sessions + 2000, complexity=complexity, signal=1.0)
    bars = simulate(config, last_sessions(date(1990, 1, 1), END, sessions + 2000))
    z = np.log(bars["close"]).diff().to_numpy()[1:] / 0.01
    x, y = z[:-1, None], (z[1:] > 0).astype(float)
    predicted = learner.fit(x[:sessions], y[:sessions]).predict_proba(x[sessions:])[:, 1]
    truth = stats.norm.cdf(law(x[sessions:, 0], complexity))
    expected = metrics.log_loss_rows(truth, predicted) - metrics.log_loss_rows(truth, truth)
    return float(expected.mean() / (np.log(2) - best_log_loss(config)))


def test_skill_approaches_the_known_bound() -> None:
    assert regret(6000, 1, LogisticRegression()) < 0.02
    assert regret(6000, 1, LogisticRegression()) < regret(300, 1, LogisticRegression()) + 0.01


def test_a_more_complex_market_takes_more_of_a_model_and_more_days() -> None:
    # A line sees next to nothing of a law that turns; trees do, the better the more days they have.
    assert regret(6000, 2, LogisticRegression()) > 0.6
    few, many = (regret(n, 2, CatBoostClassifier(100, depth=4, thread_count=1, verbose=0,
                                                 allow_writing_files=False)) for n in (500, 6000))  # fmt: skip
    assert many < 0.1
    assert many < few / 2


@pytest.mark.parametrize("kind", ["random_walk", "planted"])
def test_a_simulated_series_passes_validation_and_repeats(kind: str) -> None:
    days = last_sessions(date(2010, 1, 1), END, 1000)
    config = SimulatedConfig(market=kind, sessions=1000, seed=1)
    assert validate("SIM", "prices", simulate(config, days)) == []
    pd.testing.assert_frame_equal(simulate(config, days), simulate(config, days), check_exact=True)
    other = simulate(config.model_copy(update={"seed": 2}), days)
    assert not np.allclose(other["close"], simulate(config, days)["close"])


def test_what_the_simulation_does_not_offer_is_an_error() -> None:
    with pytest.raises(InputError, match=r"sessions = 9000, but there are only \d+ sessions from data.start"):
        last_sessions(date(2010, 1, 1), END, 9000)
    with pytest.raises(InputError, match="assets = B, quality = a is not offered by source simulated"):
        symbols("B", "a")
