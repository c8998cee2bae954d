"""One fold's predictions: its model, calibration and baselines on the rows that the model was not trained on."""

from typing import Any

import pandas as pd

from finscale.data.splits import UNUSED, Split
from finscale.data.windows import Windows
from finscale.errors import InputError
from finscale.evaluation import baselines
from finscale.evaluation.calibration import METHODS, calibrated
from finscale.evaluation.garch import add_deviation
from finscale.training.checkpoint import Checkpoint
from finscale.training.prediction import predict

EVALUATED: tuple[Split, ...] = ("validation", "calibration", "test")


def all_predictions(
    rows: pd.DataFrame, bars: pd.DataFrame, trained: Checkpoint, calibration: dict[str, Any], iterations: int, seed: int
) -> pd.DataFrame:
    """date, asset, split, label, exit, the model, for binary tasks each calibration of it, and every baseline.

    rows: the fold's development and test rows. bars: closes that the volatility baseline may know. calibration: what
    the stage `calibrate` wrote. iterations, seed: CatBoost's.
    """
    labelled, binary = rows[rows["split"] != UNUSED], trained.target.binary
    if binary:
        labelled = add_deviation(bars, labelled)
    parts = dict(tuple(labelled.groupby("split")))
    wanted = pd.concat([parts[split] for split in EVALUATED], ignore_index=True)
    model = pd.concat([_of_model(rows, trained, calibration, split) for split in EVALUATED], ignore_index=True)
    fitted = baselines.fit_and_predict(parts["train"], parts["validation"], wanted, binary, iterations, seed)
    return pd.concat([wanted[["date", "asset", "split", "label", "exit"]], model], axis=1).assign(**fitted)


def check_complete(predictions: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Every labelled day of a split has a prediction, and no prediction is missing (SPEC 12.11)."""
    for split in EVALUATED:
        expected, found = (rows["split"] == split).sum(), (predictions["split"] == split).sum()
        if expected != found or predictions.isna().any(axis=None):
            raise InputError(f"evaluate: {found} predictions for {expected} {split} rows, or some without a value")


def _of_model(rows: pd.DataFrame, trained: Checkpoint, calibration: dict[str, Any], split: Split) -> pd.DataFrame:
    """The model's probabilities, or returns, one per row of the split; probabilities also by each calibration.

    A method that is younger than a stored calibration is not in it, and has no column.
    """
    windows = Windows(rows, split, trained.model.context_length, trained.compute.device)
    output = predict(trained.network, windows, trained.compute)
    if not trained.target.binary:
        return pd.DataFrame({"model": output.astype(float) * trained.target.std + trained.target.mean})
    fitted = calibration["fitted"]
    by_method = {f"calibrated_{method}": calibrated(output, fitted, method) for method in METHODS if method in fitted}
    return pd.DataFrame({"model": by_method[f"calibrated_{calibration['method']}"], **by_method})
