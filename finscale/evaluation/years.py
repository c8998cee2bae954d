"""The result year by year: one good year must not pass for ten."""

from typing import Any

import numpy as np
import pandas as pd

from finscale.evaluation import metrics
from finscale.evaluation.bootstrap import resample
from finscale.evaluation.secondary import auc_score

_SEED = 0  # of the resampling, a part of the measurement


def by_year(test: pd.DataFrame, binary: bool, block_length: int, resamples: int, confidence: float) -> pd.DataFrame:
    """One row per calendar year of the test days, blocks resampled within the year.

    year, days, rows, label_mean (what happened) and base_rate (what the training rows had done on average, known
    beforehand), then loss, skill against that base rate and, for binary tasks, auc, each with <name>_low and
    <name>_high. auc is NaN in a year whose labels are all of one class.
    """
    years = test.groupby(test["date"].dt.year)
    return pd.DataFrame([_one(int(year), rows, binary, block_length, resamples, confidence) for year, rows in years])


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON, which has no NaN: None stands for it."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _one(
    year: int, rows: pd.DataFrame, binary: bool, block_length: int, resamples: int, confidence: float
) -> dict[str, Any]:
    label, prediction, base = (rows[name].to_numpy() for name in ("label", "model", "base_rate"))
    loss = metrics.loss_rows(label, prediction, binary)
    sample = resample(rows["date"].to_numpy(), block_length, resamples, confidence, _SEED)
    scores = {
        "loss": metrics.mean_score(loss, *sample),
        "skill": metrics.skill_score(loss, metrics.loss_rows(label, base, binary), *sample),
    }
    if binary:
        both = np.ptp(label) > 0
        scores["auc"] = auc_score(label, prediction, *sample) if both else metrics.Score(*[np.nan] * 3)
    told = {"year": year, "days": rows["date"].nunique(), "rows": len(rows)}
    told |= {"label_mean": float(label.mean()), "base_rate": float(base.mean())}
    for name, score in scores.items():
        told |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
    return told
