"""What a model has to beat, fitted on the training rows and scored on exactly its days.

base_rate    what the training rows did on average
persistence  the newest label known at the time, turned into the rate that followed it in training
logistic     logistic (or ridge) regression on the day's features
catboost     gradient boosting on the day's features, stopped early on the validation rows
volatility   binary tasks: a GARCH forecast turned into a probability (finscale/evaluation/garch.py)
har          volatility and surprise: HAR-RV, also as a probability (finscale/evaluation/har.py)
garch        volatility: the GARCH forecast itself
zero         regression: no return at all
last_return  regression: the newest return known at the time, unchanged
"""

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, CatBoostRegressor, Pool
from sklearn.linear_model import LogisticRegression, Ridge

from finscale.config import Task, is_binary
from finscale.data.dataset import KEYS
from finscale.data.splits import UNUSED
from finscale.evaluation import garch, har
from finscale.evaluation.base_rate import base_rate
from finscale.evaluation.config import BaselinesConfig
from finscale.evaluation.garch import add_deviation
from finscale.evaluation.rows import ROW, evaluated_rows

_PATIENCE = 50  # trees
_NO_FEATURE = (*KEYS, "deviation", *har.COLUMNS)
_FROM_RETURNS: tuple[Task, ...] = ("volatility", "surprise")  # tasks that HAR-RV forecasts


def baseline_predictions(rows: pd.DataFrame, bars: pd.DataFrame, task: Task, config: BaselinesConfig) -> pd.DataFrame:
    """date, asset, split and every baseline, for one fold's validation, calibration and test rows.

    rows: the fold's development rows and test features (dataset.KEYS, then features); labels are read of train and
    validation rows alone. bars: closes that the volatility baseline may know.
    """
    used = rows[rows["split"] != UNUSED]
    if task != "regression":
        used = add_deviation(bars, used)
    if task in _FROM_RETURNS:
        used = har.add_past(bars, used)
    train, validation = (used[used["split"] == split] for split in ("train", "validation"))
    wanted = evaluated_rows(used.drop(columns="label"))
    return wanted[ROW].assign(**fit_and_predict(train, validation, wanted, task, config))


def fit_and_predict(
    train: pd.DataFrame, validation: pd.DataFrame, wanted: pd.DataFrame, task: Task, config: BaselinesConfig
) -> dict[str, np.ndarray]:
    """Predictions of every baseline for the `wanted` rows: probabilities, returns, or log volatilities.

    All three frames are data set rows (dataset.KEYS, then features), the first two with labels; except for regression
    they have `deviation` as well, and for volatility and surprise har.COLUMNS, of which the others see nothing.
    """
    binary = is_binary(task)
    names = [name for name in train if name not in _NO_FEATURE]
    linear = LogisticRegression(max_iter=1000) if binary else Ridge()
    linear.fit(train[names], train["label"])
    boosted = _catboost(train, validation, names, binary, config)
    common = {
        "base_rate": np.full(len(wanted), base_rate(train)),
        "persistence": _persistence(train, wanted, binary),
        "logistic": _predict(linear, wanted[names], binary),
        "catboost": _predict(boosted, wanted[names], binary),
    }
    return common | _own(train, wanted, task)


def _own(train: pd.DataFrame, wanted: pd.DataFrame, task: Task) -> dict[str, np.ndarray]:
    """The baselines that not every task has."""
    if task == "regression":
        return {"zero": np.zeros(len(wanted)), "last_return": wanted["last_known"].to_numpy(dtype=float)}
    if task == "volatility":
        return {"har": har.log_forecast(train, wanted), "garch": garch.log_forecast(train, wanted)}
    if task == "surprise":
        probability = garch.exceedance_probability(train, wanted, relative=True)
        return {"volatility": probability, "har": har.surprise_probability(train, wanted)}
    return {"volatility": garch.exceedance_probability(train, wanted)}


def _predict(model: object, features: pd.DataFrame, binary: bool) -> np.ndarray:
    if binary:
        return np.asarray(model.predict_proba(features)[:, 1])  # type: ignore[attr-defined]
    return np.asarray(model.predict(features))  # type: ignore[attr-defined]


def _persistence(train: pd.DataFrame, wanted: pd.DataFrame, binary: bool) -> np.ndarray:
    known = train.dropna(subset=["last_known"])
    if not binary:
        slope, intercept = np.polyfit(known["last_known"], known["label"], 1)
        predicted = wanted["last_known"] * slope + intercept
    else:
        predicted = wanted["last_known"].map(known.groupby("last_known")["label"].mean())
    return predicted.fillna(base_rate(train)).to_numpy(dtype=float)


def _catboost(
    train: pd.DataFrame, validation: pd.DataFrame, names: list[str], binary: bool, config: BaselinesConfig
) -> CatBoostClassifier | CatBoostRegressor:
    kind = CatBoostClassifier if binary else CatBoostRegressor
    # One thread: sums in a fixed order, so that the same trees grow every time.
    settings = {"iterations": config.catboost_iterations, "random_seed": config.seed, "thread_count": 1}
    model = kind(**settings, allow_writing_files=False, verbose=False)
    model.fit(
        Pool(train[names], train["label"]),
        eval_set=Pool(validation[names], validation["label"]),
        early_stopping_rounds=_PATIENCE,
    )
    return model
