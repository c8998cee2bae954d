"""Conformal prediction by MAPIE: sets of classes, or intervals of returns, that hold the label 90 times in 100.

split     the calibration rows set the bar once (Papadopoulos et al. 2002). Its promise needs days that could be
          exchanged for each other, which markets do not keep.
adaptive  the calibration rows move along, always the newest known ones, and the level is corrected day by day by
          what came out, a(t+1) = a(t) + step (a - missed) (adaptive conformal inference: Gibbs and Candes 2021),
          so that coverage holds over time whatever the market does. A label counts from its exit on: before,
          nobody knows it.

A set holds 0, 1 or 2 classes; its width is their number. The width of an interval is in returns.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from mapie.classification import SplitConformalClassifier
from mapie.regression import SplitConformalRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from finscale.errors import InputError

_GRID = 200  # levels that the adaptive method can choose from
_REFRESH = 5  # sessions after which the adaptive method takes newer calibration rows
_TIE = 1e-8  # MAPIE's: a score this little above the bar is below it


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
    covered, width = (_sets if binary else _intervals)(calibration, test, level)
    adaptive_covered, adaptive_width = _adaptive(calibration, test, binary, level, step)
    return test[["date", "asset"]].assign(
        split_covered=covered, split_width=width, adaptive_covered=adaptive_covered, adaptive_width=adaptive_width
    )


def _levels(level: float, calibration_rows: int) -> np.ndarray:
    """All levels that so few rows support (n rows know quantiles from 1 / n to 1 - 1 / n), `level` among them."""
    margin = 1.001 / calibration_rows
    return np.unique(np.append(np.linspace(margin, 1 - margin, _GRID), level))


def _sets(calibration: pd.DataFrame, test: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
    x, label = calibration[["model"]].to_numpy(), calibration["label"].to_numpy(dtype=int)
    mapie = SplitConformalClassifier(_GivenProbability().fit(x, label), level, conformity_score="lac", prefit=True)
    _, sets = mapie.conformalize(x, label).predict_set(test[["model"]].to_numpy())
    held = np.take_along_axis(sets[:, :, 0], test["label"].to_numpy(dtype=int)[:, None], axis=1)[:, 0]
    return held.astype(float), sets[:, :, 0].sum(axis=1).astype(float)


def _intervals(calibration: pd.DataFrame, test: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
    x, label = calibration[["model"]].to_numpy(), calibration["label"].to_numpy()
    mapie = SplitConformalRegressor(_GivenReturn().fit(x, label), level, prefit=True)
    _, bounds = mapie.conformalize(x, label).predict_interval(test[["model"]].to_numpy())
    low, high = bounds[:, 0, 0], bounds[:, 1, 0]
    truth = test["label"].to_numpy()
    return ((low <= truth) & (truth <= high)).astype(float), high - low


@dataclass(frozen=True)
class _Rows:
    """What the adaptive method needs of rows: MAPIE's conformity score of the label, and sets at a bar."""

    model: np.ndarray
    label: np.ndarray
    binary: bool

    def scores(self) -> np.ndarray:
        """(n,) one minus the probability of the label, or the distance from it."""
        if not self.binary:
            return np.abs(self.label - self.model)
        return 1 - np.where(self.label > 0.5, self.model, 1 - self.model)

    def at(self, rows: np.ndarray, bar: float) -> tuple[np.ndarray, np.ndarray]:
        """Covered and width of some rows where everything that scores up to `bar` is in the set."""
        model, label = self.model[rows], self.label[rows]
        if not self.binary:
            low, high = model - bar, model + bar
            return ((low <= label) & (label <= high)).astype(float), high - low
        rises, falls = (1 - one - bar <= _TIE for one in (model, 1 - model))
        return np.where(label > 0.5, rises, falls).astype(float), rises.astype(float) + falls


def _adaptive(
    calibration: pd.DataFrame, test: pd.DataFrame, binary: bool, level: float, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Covered and width by adaptive conformal inference; all assets of a day share a level.

    The bar is the one that MAPIE would give the newest rows known on each day, as many as the calibration window has.
    MAPIE works it out anew for every level, which takes minutes of 500 assets; here the scores are sorted once.
    """
    told, everything = (
        _Rows(rows["model"].to_numpy(dtype=float), rows["label"].to_numpy(dtype=float), binary)
        for rows in (test, pd.concat([calibration, test]))
    )
    exits = np.concatenate([calibration["exit"].to_numpy(), test["exit"].to_numpy()])
    order = np.argsort(exits, kind="stable")
    exits, scores = exits[order], everything.scores()[order]
    levels = _levels(level, len(calibration))
    alphas = np.array([float(1 - Decimal(str(one))) for one in levels])
    days, day = np.unique(test["date"].to_numpy(), return_inverse=True)
    rows_of_day = np.split(np.argsort(day, kind="stable"), np.cumsum(np.bincount(day))[:-1])
    exit_of_day = test.groupby("date")["exit"].max().to_numpy()
    covered, width = np.empty((2, len(test)))
    by_exit = np.argsort(exit_of_day, kind="stable")
    alpha, waiting = 1 - level, 0  # the place in by_exit from which on nobody knows yet what came out
    missed = np.empty(len(days))
    for number, rows in enumerate(rows_of_day):
        if number % _REFRESH == 0:
            known = np.searchsorted(exits, days[number], side="right")
            bars = _bars(scores[max(0, known - len(calibration)) : known], alphas)
        while exit_of_day[by_exit[waiting]] <= days[number]:  # the day's own label exits later: this ends there at last
            alpha += step * (1 - level - missed[by_exit[waiting]])
            waiting += 1
        covered[rows], width[rows] = told.at(rows, bars[np.argmin(np.abs(levels - (1 - alpha)))])
        missed[number] = 1 - covered[rows].mean()
    return covered, width


def _bars(scores: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """The conformal quantile of the scores for each miss rate, as MAPIE takes it."""
    n = len(scores)
    share = np.ceil((n + 1) * (1 - alphas)) / n
    return np.asarray(np.sort(scores)[np.floor((n - 1) * share).astype(int)])
