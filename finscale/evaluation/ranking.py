"""The area under the ROC curve of many weightings of the same rows at once.

R resamples, n rows, G groups of rows with equal scores.
"""

import numpy as np
import pandas as pd

from finscale.config import Task

_CHUNK = 256  # resamples held in memory at a time


def wanted_first(test: pd.DataFrame, task: Task) -> np.ndarray:
    """1 for rows that a ranking by prediction should put first: positives, gains, volatility above the base rate's."""
    return (test["label"] > (test["base_rate"] if task == "volatility" else 0.0)).to_numpy(dtype=float)


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
