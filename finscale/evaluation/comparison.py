"""Any number of models on the same days: which are better, with chance and the number of tries taken into account.

Rows are days (losses of several assets are averaged first), columns are models. All by the arch package, with a
circular block bootstrap:

differences  every pair, paired by day
MCS          Model Confidence Set (Hansen, Lunde and Nason 2011): the models that cannot be told from the best
SPA          Superior Predictive Ability (Hansen 2005): is the best of all models better than the benchmark, given
             that it was picked as the best of so many?
"""

from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from arch.bootstrap import MCS, SPA

from finscale.config import Task, is_binary
from finscale.evaluation import metrics
from finscale.evaluation.baseline_names import names_in, names_of
from finscale.evaluation.bootstrap import daily_means, resample
from finscale.evaluation.config import CompareConfig

BENCHMARK = "base_rate"
_SEED = 0  # of the resampling, a part of the measurement


def compare(
    test: pd.DataFrame, task: Task, block_length: int, confidence: float, config: CompareConfig
) -> dict[str, Any]:
    """metrics/compare.json: the model and every baseline on the test days. test: rows with label and predictions."""
    losses = daily_losses(test, ["model", *names_of(task)], is_binary(task))
    resampling = (block_length, config.resamples)
    return {
        "model_confidence_set": model_confidence_set(losses, *resampling, config.mcs_size),
        "superior_predictive_ability": superior_predictive_ability(losses, BENCHMARK, *resampling),
        "differences": paired_differences(losses, *resampling, confidence),
    }


def daily_losses(test: pd.DataFrame, names: list[str], binary: bool) -> pd.DataFrame:
    """Mean loss of each day and model: indexed by date, one column per name."""
    label = test["label"].to_numpy()
    return pd.DataFrame(
        {name: daily_means(metrics.loss_rows(label, test[name].to_numpy(), binary), test["date"]) for name in names}
    )


def losses_per_day(test: pd.DataFrame, binary: bool) -> pd.DataFrame:
    """One row per test day, for the ledger: date, rows, then mean losses over the day's rows (metrics.loss_rows).

    model is calibrated as the run was set, model_raw is not; a regression's are the same. The rest are the baselines.
    """
    raw = test["calibrated_none"] if binary else test["model"]
    losses = daily_losses(test.assign(model_raw=raw), ["model", "model_raw", *names_in(test)], binary)
    losses.insert(0, "rows", test.groupby("date").size())
    return losses.rename_axis("date").reset_index()


def paired_differences(
    losses: pd.DataFrame, block_length: int, resamples: int, confidence: float
) -> list[dict[str, Any]]:
    """Loss of `a` minus loss of `b` for every pair, with its interval: below 0, `a` is better."""
    sample = resample(losses.index.to_numpy(), block_length, resamples, confidence, _SEED)
    return [
        {"a": a, "b": b} | asdict(metrics.mean_score((losses[a] - losses[b]).to_numpy(), *sample))
        for a, b in combinations(losses.columns, 2)
    ]


def model_confidence_set(
    losses: pd.DataFrame, block_length: int, resamples: int, size: float
) -> dict[str, dict[str, Any]]:
    """Per model: the p-value at which it leaves the set, and whether it stays at the level `size`.

    Columns that equal another day by day are tested once and share its answer.
    """
    distinct, twin_of = _distinct(losses)
    if distinct.shape[1] == 1:
        return {name: {"p_value": 1.0, "in_set": True} for name in losses}
    test = MCS(distinct, size, reps=resamples, block_size=block_length, bootstrap="circular", seed=_SEED)
    test.compute()
    p_values = test.pvalues["Pvalue"]
    return {
        name: {"p_value": float(p_values[twin_of[name]]), "in_set": twin_of[name] in test.included} for name in losses
    }


def superior_predictive_ability(
    losses: pd.DataFrame, benchmark: str, block_length: int, resamples: int
) -> dict[str, Any]:
    """p-value of 'no model is better than the benchmark' (the consistent version), and the best model's name."""
    models = losses.drop(columns=benchmark)
    distinct = models.loc[:, [not np.array_equal(models[name], losses[benchmark]) for name in models]]
    if distinct.empty:
        return {"benchmark": benchmark, "best": benchmark, "p_value": 1.0}
    test = SPA(losses[benchmark], distinct, block_size=block_length, reps=resamples, bootstrap="circular", seed=_SEED)
    test.compute()
    return {"benchmark": benchmark, "best": str(models.mean().idxmin()), "p_value": float(test.pvalues["consistent"])}


def _distinct(losses: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The columns without repeats, and for each column the one that stands for it."""
    twin_of = {name: next(other for other in losses if np.array_equal(losses[other], losses[name])) for name in losses}
    return losses[list(dict.fromkeys(twin_of.values()))], twin_of
