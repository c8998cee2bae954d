"""One fold's predictions side by side: the model, each calibration of it, and the baselines."""

from typing import Any

import pandas as pd

from finscale.data.dataset import SCORED
from finscale.data.folds import StoredFold
from finscale.evaluation.calibration import METHODS, calibrated
from finscale.evaluation.rows import attach, evaluated_rows, of_fold


def of_model(output: pd.Series, calibration: dict[str, Any]) -> pd.DataFrame:
    """The model's probabilities, or returns, by its outputs; probabilities also by each calibration.

    calibration: models/calibration.json. A method that is younger than a stored calibration is not in it,
    and has no column.
    """
    if "fitted" not in calibration:  # a regression
        return pd.DataFrame({"model": output})
    fitted = calibration["fitted"]
    methods = [method for method in METHODS if method in fitted]
    by_method = {f"calibrated_{method}": calibrated(output.to_numpy(), fitted, method) for method in methods}
    return pd.DataFrame({"model": by_method[f"calibrated_{calibration['method']}"], **by_method})


def predictions_of(
    rows: pd.DataFrame, outputs: pd.DataFrame, baselines: pd.DataFrame, calibration: dict[str, Any], fold: StoredFold
) -> pd.DataFrame:
    """One fold's rows (SCORED) with the model, each calibration of it, and every baseline; all folds have `fold`."""
    wanted = evaluated_rows(rows)[list(SCORED)]
    output = attach(wanted, outputs, fold, "predict")["output"]
    with_baselines = attach(wanted, baselines, fold, "baselines").drop(columns=list(SCORED))
    return of_fold([pd.concat([wanted, of_model(output, calibration), with_baselines], axis=1)], fold)
