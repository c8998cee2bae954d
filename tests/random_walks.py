"""What a cheap model claims of a random walk: the experiment behind tests/invariants/test_controls.py and its bench."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from finscale.data.bars import adjust
from finscale.data.labels import label
from finscale.evaluation import metrics
from finscale.evaluation.bootstrap import Draws, choose_block_length, draw_days, resample
from finscale.evaluation.secondary import auc_score
from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import last_sessions, simulate

TRAIN = 900
START, END = date(1995, 1, 1), date(2023, 12, 29)
CONFIDENCE, RESAMPLES = 0.95, 500
_WARM_UP = 40


@lru_cache(250)
def bars(seed: int, test_days: int) -> pd.DataFrame:
    """One random walk, long enough for TRAIN and the test days."""
    days = last_sessions(START, END, TRAIN + test_days + _WARM_UP)
    return adjust(simulate(SimulatedConfig(sessions=len(days), seed=seed), days)).set_index("date")


@lru_cache(250)
def features(seed: int, test_days: int, kind: str) -> pd.DataFrame:
    """past: returns and volatility of the walk itself. persistent: two series of no relation, half-life 69 days."""
    market = bars(seed, test_days)
    if kind == "past":
        returns = np.log(market["close"]).diff()
        recent = {f"return_{days}": returns.rolling(days).sum() for days in (1, 5, 20)}
        return pd.DataFrame(recent | {"volatility_20": returns.rolling(20).std()}).dropna()
    shocks = np.random.default_rng([seed, 1]).normal(size=(len(market), 2))
    shocks[0] /= np.sqrt(1 - 0.99**2)
    return pd.DataFrame(shocks, index=market.index).ewm(alpha=0.01, adjust=False).mean()


@lru_cache(1)
def predictions(seed: int, horizon: int, test_days: int, kind: str = "past") -> tuple[np.ndarray, np.ndarray, float]:
    """Labels of direction on the test days, a logistic regression's probabilities, the base rate of training."""
    market = bars(seed, test_days)
    labels = label(market, "direction", horizon).set_index("date")[["label"]]
    rows = features(seed, test_days, kind).join(labels, how="inner")
    x, truth = rows.drop(columns="label").to_numpy(), rows["label"].to_numpy()
    train, test = slice(0, TRAIN - horizon), slice(TRAIN, TRAIN + test_days)  # purged
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    model = LogisticRegression().fit(x[train], truth[train])
    return truth[test], model.predict_proba(x[test])[:, 1], float(truth[train].mean())


@lru_cache(32)
def drawn(days: int, block: int) -> tuple[Draws, float]:
    return resample(np.arange(days), block, RESAMPLES, CONFIDENCE, seed=0)


@lru_cache(8)
def drawn_as_if_many(days: int, block: int) -> tuple[Draws, float]:
    """The plain percentile interval."""
    return draw_days(np.arange(days), block, RESAMPLES, seed=0), CONFIDENCE


def verdicts(seed: int, horizon: int, test_days: int, kind: str = "past") -> dict[str, bool]:
    """What one run would claim. information and auc: significant on either side; better: than the base rate.

    without blocks: information with days drawn one by one.
    """
    truth, p, rate = predictions(seed, horizon, test_days, kind)
    base = np.full(len(truth), rate)
    loss, reference = metrics.log_loss_rows(truth, p), metrics.log_loss_rows(truth, base)
    sample = drawn(len(truth), choose_block_length(loss, horizon))
    information = metrics.information_rows(truth, p, base)
    one_by_one = metrics.mean_score(information, *drawn_as_if_many(len(truth), 1))
    return {
        "better": metrics.skill_score(loss, reference, *sample).low > 0,
        "information": excludes(metrics.mean_score(information, *sample), 0.0),
        "auc": excludes(auc_score(truth, p, *sample), 0.5),
        "information, without blocks": excludes(one_by_one, 0.0),
    }


def short_block_verdicts(seed: int, horizon: int, test_days: int, kind: str = "past") -> dict[str, bool]:
    """The same with blocks of the horizon and plain percentiles."""
    truth, p, rate = predictions(seed, horizon, test_days, kind)
    sample = drawn_as_if_many(len(truth), horizon)
    information = metrics.information_rows(truth, p, np.full(len(truth), rate))
    return {
        "information, short blocks": excludes(metrics.mean_score(information, *sample), 0.0),
        "auc, short blocks": excludes(auc_score(truth, p, *sample), 0.5),
    }


def excludes(score: metrics.Score, value: float) -> bool:
    return score.low > value or score.high < value
