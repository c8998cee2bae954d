"""How predictions rank rows: their curves, and the area under the ROC curve of many weightings of the rows at once.

R resamples, n rows, G groups of rows with equal scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import Task

# scikit-learn takes a second to import: it is where a curve is computed, `report` only reads them.

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
    return Ranking(
        model=name,
        roc=pd.DataFrame({"x": false[inner], "y": true[inner]}),
        recall=pd.DataFrame({"x": recall[inner], "y": precision[inner]}),
        area=float(roc_auc_score(positive, score)),
        mean_precision=float(average_precision_score(positive, score)),
        dots=dots,
    )


def weighted_auc(label: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC of every resample, (R,); NaN where one class is absent. label: 0/1; weights: (R, n).

    The rows are sorted once. A positive row wins against every negative row below it and half against
    those at the same score: AUC = sum_g P_g (sum_{k<g} N_k + N_g / 2) / (P N), the Mann-Whitney statistic.
    """
    order = np.argsort(score, kind="stable")
    first_of_group = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    positive = label[order] > 0.5
    return np.concatenate(
        [
            _auc_of_sorted(weights[start : start + _CHUNK, order], positive, first_of_group)
            for start in range(0, len(weights), _CHUNK)
        ]
    )


def _auc_of_sorted(weights: np.ndarray, positive: np.ndarray, first_of_group: np.ndarray) -> np.ndarray:
    positives_RG = np.add.reduceat(weights * positive, first_of_group, axis=1)
    negatives_RG = np.add.reduceat(weights * ~positive, first_of_group, axis=1)
    below_RG = np.cumsum(negatives_RG, axis=1) - negatives_RG / 2
    pairs = positives_RG.sum(axis=1) * negatives_RG.sum(axis=1)
    wins = np.einsum("rg,rg->r", positives_RG, below_RG)
    return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
