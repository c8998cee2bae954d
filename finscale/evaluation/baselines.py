"""What a model has to beat, fitted on the training rows and scored on exactly its days.

base_rate    what the training rows did on average
persistence  the newest label known at the time, turned into the rate that followed it in training
logistic     logistic (or ridge) regression on the day's features
catboost     gradient boosting on the day's features, stopped early on the validation rows
"""

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, CatBoostRegressor, Pool
from sklearn.linear_model import LogisticRegression, Ridge

from finscale.dataset import feature_names

BASELINES = ("base_rate", "persistence", "logistic", "catboost")

_PATIENCE = 50  # trees


def fit_and_predict(
    train: pd.DataFrame, validation: pd.DataFrame, wanted: pd.DataFrame, binary: bool, iterations: int, seed: int
) -> dict[str, np.ndarray]:
    """Predictions of every baseline for the `wanted` rows: probabilities, or returns.

    All three frames are data set rows (dataset.KEYS, then features) with labels.
    """
    names = feature_names(train)
    linear = LogisticRegression(max_iter=1000) if binary else Ridge()
    linear.fit(train[names], train["label"])
    boosted = _catboost(train, validation, names, binary, iterations, seed)
    return {
        "base_rate": np.full(len(wanted), train["label"].mean()),
        "persistence": _persistence(train, wanted, binary),
        "logistic": _predict(linear, wanted[names], binary),
        "catboost": _predict(boosted, wanted[names], binary),
    }


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
    return predicted.fillna(train["label"].mean()).to_numpy(dtype=float)


def _catboost(
    train: pd.DataFrame, validation: pd.DataFrame, names: list[str], binary: bool, iterations: int, seed: int
) -> CatBoostClassifier | CatBoostRegressor:
    kind = CatBoostClassifier if binary else CatBoostRegressor
    # One thread: sums in a fixed order, so that the same trees grow every time.
    model = kind(iterations=iterations, random_seed=seed, thread_count=1, allow_writing_files=False, verbose=False)
    model.fit(
        Pool(train[names], train["label"]),
        eval_set=Pool(validation[names], validation["label"]),
        early_stopping_rounds=_PATIENCE,
    )
    return model
