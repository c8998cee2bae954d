"""Conformal prediction by MAPIE: sets of classes, or intervals of returns, that hold the label 90 times in 100.

split     the calibration rows set the bar once (Papadopoulos et al. 2002). Its promise needs days that could be
          exchanged for each other, which markets do not keep.
adaptive  the calibration rows move along, always the newest known ones, and the level is corrected day by day by
          what came out, a(t+1) = a(t) + step (a - missed) (adaptive conformal inference: Gibbs and Candes 2021),
          so that coverage holds over time whatever the market does. A label counts from its exit on: before,
          nobody knows it.

A set holds 0, 1 or 2 classes; its width is their number. The width of an interval is in returns.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from mapie.classification import SplitConformalClassifier
from mapie.regression import SplitConformalRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from finscale.errors import InputError

_GRID = 200  # levels that the adaptive method can choose from
_REFRESH = 5  # sessions after which the adaptive method takes newer calibration rows

# Calibration rows, rows to predict and levels -> covered and width, both (rows, levels).
ConformalMethod = Callable[[pd.DataFrame, pd.DataFrame, np.ndarray], tuple[np.ndarray, np.ndarray]]


class _GivenProbability(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier for MAPIE whose only input is the probability that it is to return."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "_GivenProbability":
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - x[:, 0], x[:, 0]])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return (x[:, 0] > 0.5).astype(int)


class _GivenReturn(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor for MAPIE whose only input is the return that it is to return."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "_GivenReturn":
        self.n_features_in_ = 1
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0]


def conform(calibration: pd.DataFrame, test: pd.DataFrame, binary: bool, level: float, step: float) -> pd.DataFrame:
    """Coverage and width of each test row by both methods.

    calibration, test: date, exit, label, model. Returns date and asset of the test rows with
    {split,adaptive}_{covered,width}. Raises InputError where the calibration rows are too few for the level.
    """
    if len(calibration) * (1 - level) < 1:
        raise InputError(
            f"params.yaml: evaluate.conformal_level = {level} needs at least {round(1 / (1 - level))} calibration "
            f"rows, there are {len(calibration)}; lower it, or move dataset.split.calibration_start"
        )
    levels = _levels(level, len(calibration))
    method = _sets if binary else _intervals
    covered, width = method(calibration, test, levels)
    fixed = np.full(len(test), int(np.argmin(np.abs(levels - level))))
    rolling_covered, rolling_width = _rolling(method, calibration, test, levels)
    chosen = _adaptive_levels(rolling_covered, test, levels, level, step)
    rows = np.arange(len(test))
    return test[["date", "asset"]].assign(
        split_covered=covered[rows, fixed],
        split_width=width[rows, fixed],
        adaptive_covered=rolling_covered[rows, chosen],
        adaptive_width=rolling_width[rows, chosen],
    )


def _levels(level: float, calibration_rows: int) -> np.ndarray:
    """All levels that so few rows support (n rows know quantiles from 1 / n to 1 - 1 / n), `level` among them."""
    margin = 1.001 / calibration_rows
    return np.unique(np.append(np.linspace(margin, 1 - margin, _GRID), level))


def _sets(calibration: pd.DataFrame, test: pd.DataFrame, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, label = calibration[["model"]].to_numpy(), calibration["label"].to_numpy(dtype=int)
    mapie = SplitConformalClassifier(_GivenProbability().fit(x, label), levels, conformity_score="lac", prefit=True)
    _, sets = mapie.conformalize(x, label).predict_set(test[["model"]].to_numpy())
    held = np.take_along_axis(sets, test["label"].to_numpy(dtype=int)[:, None, None], axis=1)[:, 0, :]
    return held.astype(float), sets.sum(axis=1).astype(float)


def _intervals(calibration: pd.DataFrame, test: pd.DataFrame, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, label = calibration[["model"]].to_numpy(), calibration["label"].to_numpy()
    mapie = SplitConformalRegressor(_GivenReturn().fit(x, label), levels, prefit=True)
    _, bounds = mapie.conformalize(x, label).predict_interval(test[["model"]].to_numpy())
    low, high = bounds[:, 0, :], bounds[:, 1, :]
    truth = test["label"].to_numpy()[:, None]
    return ((low <= truth) & (truth <= high)).astype(float), high - low


def _rolling(
    method: ConformalMethod, calibration: pd.DataFrame, test: pd.DataFrame, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The method with the newest rows known on each day, as many as the calibration window has."""
    everything = pd.concat([calibration, test]).sort_values("exit", kind="stable")
    covered, width = np.empty((2, len(test), len(levels)))
    days = np.unique(test["date"])
    for first in range(0, len(days), _REFRESH):
        known = everything[everything["exit"] <= days[first]].tail(len(calibration))
        rows = test["date"].isin(days[first : first + _REFRESH]).to_numpy()
        covered[rows], width[rows] = method(known, test[rows], levels)
    return covered, width


def _adaptive_levels(
    covered: np.ndarray, test: pd.DataFrame, levels: np.ndarray, level: float, step: float
) -> np.ndarray:
    """Position in `levels` of each row's level; all assets of a day share one."""
    miss_rate = 1 - level
    alpha = miss_rate
    chosen = np.zeros(len(test), dtype=int)
    rows_of_day = {day: np.asarray(rows) for day, rows in test.reset_index(drop=True).groupby("date").groups.items()}
    exit_of_day = test.groupby("date")["exit"].max()
    waiting: list[tuple[pd.Timestamp, float]] = []
    for day in exit_of_day.index:
        for _, missed in [known for known in waiting if known[0] <= day]:
            alpha += step * (miss_rate - missed)
        waiting = [later for later in waiting if later[0] > day]
        rows = rows_of_day[day]
        chosen[rows] = int(np.argmin(np.abs(levels - (1 - alpha))))
        waiting.append((exit_of_day[day], 1 - covered[rows, chosen[rows]].mean()))
    return chosen
