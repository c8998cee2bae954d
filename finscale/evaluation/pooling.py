"""Several folds as one result: the test days of all are scored together, what training recorded is added up."""

from typing import Any

import numpy as np
import pandas as pd

from finscale.evaluation import metrics
from finscale.evaluation.scoring import spread

_MEANS = ("best_epoch", "epochs_run", "train_windows", "unique_windows")
_FRACTIONS = ("validation_loss", "train_loss", "passes")  # means that are not rounded
_SUMS = ("steps", "windows_seen", "pretrain_windows", "tokens_seen", "train_flops")


def pool_runs(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What training recorded, of all folds; that of a single fold as it is.

    Costs are summed. Losses and passes are means over folds; epochs and training windows are means, rounded. The
    rest, parameter counts above all, is the same in every fold.
    """
    if len(runs) == 1:
        return runs[0]
    pooled: dict[str, float] = {
        name: round(float(np.mean([run[name] for run in runs]))) for name in _MEANS if name in runs[0]
    }
    pooled |= {name: sum(run[name] for run in runs) for name in _SUMS if name in runs[0]}
    pooled |= {name: float(np.mean([run[name] for run in runs])) for name in _FRACTIONS if name in runs[0]}
    return runs[0] | pooled


def describe_folds(test: pd.DataFrame, runs: dict[str, dict[str, Any]], binary: bool) -> list[dict[str, Any]]:
    """Per fold: what trained it, how long, and its test result. runs: fold -> what training recorded."""
    told = []
    for name, run in runs.items():
        rows = test[test["fold"] == name]
        label = rows["label"].to_numpy()
        loss, base = (metrics.loss_rows(label, rows[of].to_numpy(), binary).mean() for of in ("model", "base_rate"))
        kept = {key: run[key] for key in ("train_windows", "best_epoch", "epochs_run", "validation_loss")}
        result = {"test_rows": len(rows), "test_loss": float(loss), "test_skill": float(1 - loss / base)}
        told.append({"fold": name} | kept | result | spread(rows, binary))
    return told
