"""calibrate: outputs on calibration rows -> models/calibration.json

Reads  data/processed/model_predictions.parquet, and of the development rows their labels
       data/processed/development_folds/, data/processed/folds.csv  of the folds after the first
Writes models/calibration.json  the chosen method, every method's numbers, and the calibration rows' loss with each
       models/calibration_folds/  the same of each fold after the first
Why    probabilities are fitted to reality on rows that neither trained nor chose the model, before anyone looks
       at the test. The method is a setting: none is chosen by its loss. Of the training rows only the base rate is
       taken, which one of the methods shrinks towards.
"""

from typing import Any

import numpy as np
import pandas as pd

from finscale.cli import run
from finscale.config import Block, Task, is_binary, load_params
from finscale.data.dataset import SCORED, read_development
from finscale.data.folds import StoredFold, read_folds, remove_others
from finscale.evaluation.base_rate import base_rate
from finscale.evaluation.calibration import METHODS, calibrated, fit_all
from finscale.evaluation.config import CalibrateConfig, Method
from finscale.evaluation.metrics import log_loss_rows
from finscale.evaluation.rows import attach
from finscale.storage import read_parquet, write_json
from stages.paths import CALIBRATION, DEVELOPMENT, FOLDS, MODEL_PREDICTIONS


class Params(Block):
    task: Task
    calibrate: CalibrateConfig


def calibrate(logits: np.ndarray, label: np.ndarray, known_rate: float, method: Method) -> dict[str, Any]:
    fitted = fit_all(logits, label, known_rate)
    loss = {name: float(log_loss_rows(label, calibrated(logits, fitted, name)).mean()) for name in METHODS}
    return {"method": method, "rows": len(label), "loss": loss, "fitted": fitted}


def calibrate_fold(params: Params, outputs: pd.DataFrame, fold: StoredFold) -> None:
    if not is_binary(params.task):
        write_json(fold.of(CALIBRATION), {"method": "none"})
        return
    rows = read_development(fold.of(DEVELOPMENT), SCORED)
    judged = attach(rows[rows["split"] == "calibration"], outputs, fold, "predict")
    logits, label = judged["output"].to_numpy(), judged["label"].to_numpy()
    found = calibrate(logits, label, base_rate(rows), params.calibrate.method)
    write_json(fold.of(CALIBRATION), found)
    before, after = found["loss"]["none"], found["loss"][found["method"]]
    print(
        f"calibrate: {fold.prefix}{found['method']} on {found['rows']} rows, "
        f"their loss {before:.5f} before, {after:.5f} after"
    )


def main() -> None:
    params = load_params(Params)
    if not is_binary(params.task):
        print("calibrate: a regression has no probabilities to calibrate")
    folds, outputs = read_folds(FOLDS), read_parquet(MODEL_PREDICTIONS)
    for fold in folds:
        calibrate_fold(params, outputs, fold)
    remove_others(CALIBRATION, folds)


if __name__ == "__main__":
    run(main)
