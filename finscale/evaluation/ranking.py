"""How predictions rank rows: their curves, and the area under the ROC curve of many resamples of them at once.

R resamples, n rows, T days, G groups of rows with equal scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import Task
from finscale.evaluation.bootstrap import Draws

# scikit-learn takes a second to import: it is where a curve is computed, `report` only reads them.

POINTS = 2000  # of a curve, where it has more than twice as many
_CHUNK = 256  # resamples held in memory at a time


def wanted_first(test: pd.DataFrame, task: Task) -> np.ndarray:
    """1 for rows that a ranking by prediction should put first: positives, gains, volatility above the base rate's."""
    return (test["label"] > (test["base_rate"] if task == "volatility" else 0.0)).to_numpy(dtype=float)


@dataclass(frozen=True)
class Ranking:
    """How one prediction ranks the test rows. roc, recall: x, y, in the order in which the curve is drawn.

    dots: the prediction takes two values, so that there is one threshold, and one point instead of a curve.
    """

    model: str
    roc: pd.DataFrame  # false positive rate, true positive rate
    recall: pd.DataFrame  # recall, precision: hold between two points
    area: float
    mean_precision: float
    dots: bool

    def as_dict(self) -> dict[str, Any]:
        """As `of_dict` takes it, for a JSON file."""
        curves = {"roc": self.roc.to_dict("list"), "recall": self.recall.to_dict("list")}
        return {
            "model": self.model,
            "area": self.area,
            "mean_precision": self.mean_precision,
            "dots": self.dots,
        } | curves

    @staticmethod
    def of_dict(told: dict[str, Any]) -> "Ranking":
        return Ranking(**told | {curve: pd.DataFrame(told[curve]) for curve in ("roc", "recall")})


def rankings(test: pd.DataFrame, names: Sequence[str]) -> list[Ranking]:
    """Of each prediction that takes more than one value (a constant ranks nothing). test: label, and the names."""
    positive = (test["label"] > 0).to_numpy(dtype=float)
    return [_ranking(name, test[name].to_numpy(), positive) for name in names if test[name].nunique() > 1]


def _ranking(name: str, score: np.ndarray, positive: np.ndarray) -> Ranking:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    false, true, _ = roc_curve(positive, score)
    precision, recall, _ = precision_recall_curve(positive, score)
    dots = len(np.unique(score)) == 2
    inner = slice(1, -1) if dots else slice(None)  # of two values: without the ends, which every prediction has
    roc, recalled = pd.DataFrame({"x": false, "y": true})[inner], pd.DataFrame({"x": recall, "y": precision})[inner]
    return Ranking(
        model=name,
        roc=_thinned(roc),
        recall=_thinned(recalled),
        area=float(roc_auc_score(positive, score)),
        mean_precision=float(average_precision_score(positive, score)),
        dots=dots,
    )


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """A curve that can be drawn and sent: of hundreds of thousands of rows, POINTS of its points, evenly spaced."""
    if len(curve) > 2 * POINTS:
        curve = curve.iloc[np.linspace(0, len(curve) - 1, POINTS).round().astype(int)]
    return curve.reset_index(drop=True)


def weighted_auc(label: np.ndarray, score: np.ndarray, draws: Draws) -> np.ndarray:
    """AUC of every resample, (R,); NaN where one class is absent. label: 0/1, of each row.

    The rows are sorted once. A positive row wins against every negative row below it and half against
    those at the same score: AUC = sum_g P_g (sum_{k<g} N_k + N_g / 2) / (P N), the Mann-Whitney statistic.
    """
    order = np.argsort(score, kind="stable")
    first_of_group = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    positive = label[order] > 0.5
    if not draws.single:
        return _auc_of_days(draws, draws.day[order], positive, first_of_group)
    return np.concatenate(
        [
            _auc_of_sorted(draws.counts[start : start + _CHUNK, order], positive, first_of_group)
            for start in range(0, len(draws), _CHUNK)
        ]
    )


def _auc_of_sorted(weights: np.ndarray, positive: np.ndarray, first_of_group: np.ndarray) -> np.ndarray:
    """weights: (R, n), of the sorted rows."""
    positives_RG = np.add.reduceat(weights * positive, first_of_group, axis=1)
    negatives_RG = np.add.reduceat(weights * ~positive, first_of_group, axis=1)
    below_RG = np.cumsum(negatives_RG, axis=1) - negatives_RG / 2
    wins = np.einsum("rg,rg->r", positives_RG, below_RG)
    return _share(wins, positives_RG.sum(axis=1) * negatives_RG.sum(axis=1))


def _auc_of_days(draws: Draws, day: np.ndarray, positive: np.ndarray, first_of_group: np.ndarray) -> np.ndarray:
    """Many rows a day: pairs are counted once per pair of days, and a resample draws days. day: of the sorted rows.

    Wins are whole and half numbers, exact in any order: the same value as row by row, to the last bit.
    """
    days = draws.counts.shape[1]
    group = np.cumsum(np.bincount(first_of_group, minlength=len(day))) - 1
    group_of_positive, day_of_positive = group[positive], day[positive]
    negatives = np.split(group[~positive][np.argsort(day[~positive], kind="stable")],
                         np.cumsum(np.bincount(day[~positive], minlength=days))[:-1])  # fmt: skip
    wins_TT = np.empty((days, days))  # of positives of the first day over negatives of the second
    for number, of_day in enumerate(negatives):
        at = np.bincount(of_day, minlength=len(first_of_group))
        below = np.cumsum(at) - at / 2
        wins_TT[:, number] = np.bincount(day_of_positive, below[group_of_positive], days)
    wins = np.einsum("rt,rt->r", draws.counts @ wins_TT, draws.counts)
    drawn = [draws.counts @ np.bincount(day[one], minlength=days).astype(float) for one in (positive, ~positive)]
    return _share(wins, drawn[0] * drawn[1])


def _share(wins: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
