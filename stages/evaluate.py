"""evaluate: model + test rows -> metrics/evaluate.json, the experiment's row, predictions

Reads  models/*, data/processed/{development,test}.parquet   (the one stage that opens the test split)
       data/interim/bars.parquet  closes, from which a baseline forecasts volatility
Writes data/processed/predictions.parquet  date, asset, split, label, exit, model, baselines and the model as each
                                           calibration method leaves it
       data/processed/conformal.parquet    per test row: was the label in the set, and how wide was it
       metrics/evaluate.json      what `dvc exp show` compares
       metrics/experiment.json    all that the ledger keeps of this run
       plots/reliability.csv      predicted against observed rates on the test split
       plots/scaling_point.csv    this run as one point: `dvc plots diff` draws the curve over runs
Why    one number with an interval, beside baselines on exactly the same days.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from finscale.cli import run
from finscale.config import (
    AssetTier,
    Block,
    Budget,
    FeatureTier,
    Horizon,
    Quality,
    Source,
    Task,
    Timescale,
    format_budget,
    is_binary,
    load_params,
)
from finscale.dataset import feature_names, read_development, read_test
from finscale.errors import InputError
from finscale.evaluation import baselines, scoring
from finscale.evaluation.calibration import METHODS, calibrated, reliability
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.conformal import conform
from finscale.evaluation.volatility import add_deviation
from finscale.splits import UNUSED, Split
from finscale.storage import read_json, read_parquet, write_csv, write_json, write_parquet
from finscale.training import checkpoint
from finscale.training.loop import predict
from finscale.windows import Windows

DEVELOPMENT = Path("data/processed/development.parquet")
TEST = Path("data/processed/test.parquet")
BARS = Path("data/interim/bars.parquet")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
CALIBRATION = Path("models/calibration.json")
PREDICTIONS = Path("data/processed/predictions.parquet")
CONFORMAL = Path("data/processed/conformal.parquet")
METRICS = Path("metrics/evaluate.json")
EXPERIMENT = Path("metrics/experiment.json")
RELIABILITY = Path("plots/reliability.csv")
SCALING_POINT = Path("plots/scaling_point.csv")

EVALUATED: tuple[Split, ...] = ("validation", "calibration", "test")


class Params(Block):
    source: Source
    assets: AssetTier
    quality: Quality
    timescale: Timescale
    tier: FeatureTier
    task: Task
    horizon: Horizon
    budget: Budget
    seed: int
    evaluate: EvaluateConfig

    @property
    def binary(self) -> bool:
        return is_binary(self.task)

    def axes(self) -> dict[str, Any]:
        return self.model_dump(exclude={"evaluate", "budget"}) | {"budget": format_budget(self.budget)}


def read_rows() -> pd.DataFrame:
    rows = pd.concat([read_development(DEVELOPMENT), read_test(TEST)])
    return rows.sort_values(["asset", "date"], ignore_index=True)


def model_predictions(rows: pd.DataFrame, trained: checkpoint.Checkpoint, split: Split) -> pd.DataFrame:
    """The model's probabilities, or returns, one per row of the split; probabilities also by each calibration."""
    windows = Windows(rows, split, trained.model.context_length, trained.compute.device)
    output = predict(trained.network, windows, trained.compute)
    if not trained.target.binary:
        return pd.DataFrame({"model": output.astype(float) * trained.target.std + trained.target.mean})
    told = read_json(CALIBRATION)
    by_method = {f"calibrated_{method}": calibrated(output, told["fitted"], method) for method in METHODS}
    return pd.DataFrame({"model": by_method[f"calibrated_{told['method']}"], **by_method})


def all_predictions(rows: pd.DataFrame, trained: checkpoint.Checkpoint, params: Params) -> pd.DataFrame:
    """Predictions of the model and every baseline on the rows that were not trained on."""
    labelled = rows[rows["split"] != UNUSED]
    if params.binary:
        labelled = add_deviation(read_parquet(BARS), labelled)
    parts = dict(tuple(labelled.groupby("split")))
    wanted = pd.concat([parts[split] for split in EVALUATED], ignore_index=True)
    model = pd.concat([model_predictions(rows, trained, split) for split in EVALUATED], ignore_index=True)
    iterations = params.evaluate.catboost_iterations
    fitted = baselines.fit_and_predict(
        parts["train"], parts["validation"], wanted, params.binary, iterations, params.seed
    )
    return pd.concat([wanted[["date", "asset", "split", "label", "exit"]], model], axis=1).assign(**fitted)


def check_complete(predictions: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Every labelled day of a split has a prediction, and no prediction is missing (SPEC 12.11)."""
    for split in EVALUATED:
        expected, found = (rows["split"] == split).sum(), (predictions["split"] == split).sum()
        if expected != found or predictions.isna().any(axis=None):
            raise InputError(f"evaluate: {found} predictions for {expected} {split} rows, or some without a value")


def experiment(params: Params, trained: checkpoint.Checkpoint, scores: dict, test: pd.DataFrame) -> dict[str, Any]:
    """All that the ledger keeps of this run, measured and not labelled."""
    compute = {"device": trained.compute.device.type, "precision": trained.compute.precision}
    return {
        "axes": params.axes(),
        "run": trained.run,
        "compute": compute | {"threads": trained.compute.threads, "torch": torch.__version__},
        "test_rows": len(test),
        "scores": scores,
        **scoring.spread(test, params.binary),
    }


def write_plots(test: pd.DataFrame, found: dict[str, Any], drawn: scoring.Resampling, params: Params) -> None:
    if params.binary:
        curve = reliability(test["label"].to_numpy(), test["model"].to_numpy(), drawn.weights, drawn.enclosed)
    else:  # a regression has no probabilities: its table is empty, but the output exists
        curve = pd.DataFrame(columns=["predicted", "observed", "rows", "low", "high"])
    write_csv(RELIABILITY, curve)
    point = {"params": found["params_counted"], "test_loss": found["test_loss"], "budget": format_budget(params.budget)}
    write_csv(SCALING_POINT, pd.DataFrame([point | {"seed": params.seed}]))


def main() -> None:
    params = load_params(Params)
    rows = read_rows()
    trained = checkpoint.load(WEIGHTS, MODEL, feature_names(rows))
    predictions = all_predictions(rows, trained, params)
    check_complete(predictions, rows)
    calibration, test = (predictions[predictions["split"] == split] for split in ("calibration", "test"))
    config = params.evaluate
    conformal = conform(calibration, test, params.binary, config.conformal_level, config.conformal_step)
    drawn = scoring.resampling(test, params.horizon, params.binary, config)
    scores = scoring.score(test, params.binary, drawn)
    scores["conformal"] = scoring.conformal_scores(conformal, config.conformal_level, drawn)
    found = scoring.headline(scores, trained.run, test, params.binary)
    write_parquet(PREDICTIONS, predictions)
    write_parquet(CONFORMAL, conformal)
    write_json(METRICS, found)
    write_json(EXPERIMENT, experiment(params, trained, scores, test))
    write_plots(test, found, drawn, params)
    print("evaluate: test loss {test_loss:.5f} ({test_loss_low:.5f} to {test_loss_high:.5f})".format(**found))


if __name__ == "__main__":
    run(main)
