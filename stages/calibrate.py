"""calibrate: model + validation rows -> models/calibration.json

Reads  models/model.{safetensors,json}, data/processed/development.parquet
Writes models/calibration.json  the temperature, and the validation loss before and after
Why    probabilities are fitted to reality on the validation split, before anyone looks at the test.
"""

from pathlib import Path
from typing import Any

import numpy as np

from finscale.cli import run
from finscale.config import Block, Task, is_binary, load_params
from finscale.dataset import feature_names, read_development
from finscale.evaluation.calibration import fit_temperature, probabilities
from finscale.evaluation.metrics import log_loss_rows
from finscale.storage import write_json
from finscale.training import checkpoint
from finscale.training.loop import predict
from finscale.windows import Windows

DEVELOPMENT = Path("data/processed/development.parquet")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
CALIBRATION = Path("models/calibration.json")


class Params(Block):
    task: Task


def calibrate(logits: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    temperature = fit_temperature(logits, label)
    return {
        "method": "temperature",
        "temperature": temperature,
        "loss_before": float(log_loss_rows(label, probabilities(logits, 1.0)).mean()),
        "loss_after": float(log_loss_rows(label, probabilities(logits, temperature)).mean()),
    }


def main() -> None:
    params = load_params(Params)
    if not is_binary(params.task):
        write_json(CALIBRATION, {"method": "none"})
        print("calibrate: a regression has no probabilities to calibrate")
        return
    rows = read_development(DEVELOPMENT)
    trained = checkpoint.load(WEIGHTS, MODEL, feature_names(rows))
    windows = Windows(rows, "validation", trained.model.context_length, trained.compute.device)
    found = calibrate(predict(trained.network, windows, trained.compute), windows.label.cpu().numpy())
    write_json(CALIBRATION, found)
    print(f"calibrate: temperature {found['temperature']:.3f}, validation loss {found['loss_after']:.5f}")


if __name__ == "__main__":
    run(main)
