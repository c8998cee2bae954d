"""A simulated market with real base models on it, in the form in which `evaluate` leaves their predictions."""

from datetime import date
from functools import cache

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from finscale.config import Horizon, Timescale
from finscale.data.bars import adjust, get_freq_string, resample_ohlcv
from finscale.data.config import SplitDates
from finscale.data.labels import label
from finscale.data.splits import UNUSED, assign_splits, single_fold
from finscale.meta.base_runs import BaseRun, extract
from finscale.meta.config import MetaConfig
from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import last_sessions, simulate

CONFIG = MetaConfig(
    runs=("daily_run", "weekly_run"), features=("return_1",), min_train_days=250, step_days=120, embargo_days=5,
    iterations=60, depth=3, learning_rate=0.1, leak_auc=0.9,
)  # fmt: skip
ENDS = SplitDates(train_end=date(2017, 12, 29), calibration_start=date(2019, 1, 2), validation_end=date(2019, 12, 31))


@cache
def bars(**settings: object) -> pd.DataFrame:
    days = last_sessions(date(2010, 1, 1), date(2023, 12, 29), 2500)
    return adjust(simulate(SimulatedConfig(sessions=len(days), **settings), days)).set_index("date")


def features(market: pd.DataFrame) -> pd.DataFrame:
    """date, asset, return_1 and the sum of five returns."""
    returns = np.log(market["close"]).diff()
    table = pd.DataFrame({"return_1": returns, "return_5": returns.rolling(5).sum()}).dropna()
    return table.reset_index().assign(asset="SIM")


def labels(market: pd.DataFrame, horizon: Horizon = 1) -> pd.DataFrame:
    return label(market, "direction", horizon).assign(asset="SIM")


def predictions(market: pd.DataFrame, timescale: Timescale, horizon: Horizon = 1) -> pd.DataFrame:
    """date, asset, split, label, exit and a logistic regression's probability, as `model` and uncalibrated."""
    longer = resample_ohlcv(market, get_freq_string(timescale))
    rows = features(longer).merge(labels(longer, horizon), on=["date", "asset"])
    rows["split"] = assign_splits(rows["date"], rows["exit"], single_fold(ENDS))
    train, inputs = rows[rows["split"] == "train"], ["return_1", "return_5"]
    fitted = LogisticRegression(C=np.inf).fit(100 * train[inputs], train["label"])
    rows["model"] = rows["calibrated_none"] = fitted.predict_proba(100 * rows[inputs])[:, 1]
    return rows[rows["split"] != UNUSED]


def out_of_sample(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["split"] != "train"]


def base_run(market: pd.DataFrame, timescale: Timescale, horizon: Horizon = 1) -> BaseRun:
    name = f"{timescale}_run"
    rows = extract(out_of_sample(predictions(market, timescale, horizon)), "calibrated_none", True, name)
    return BaseRun(name, {"timescale": timescale, "source": "simulated"}, rows)
