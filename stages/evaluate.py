"""evaluate: model + test rows -> metrics/evaluate.json, the experiment's row, predictions

Reads  models/*, data/processed/{development,test}.parquet   (the one stage that opens the test split)
Writes data/processed/predictions.parquet  date, asset, split, label, model and baseline predictions
       metrics/evaluate.json      what `dvc exp show` compares
       metrics/experiment.json    all that the ledger keeps of this run
       plots/reliability.csv      predicted against observed rates on the test split
       plots/scaling_point.csv    this run as one point: `dvc plots diff` draws the curve over runs
Why    one number with an interval, beside baselines on exactly the same days.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
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
from finscale.evaluation import baselines, metrics
from finscale.evaluation.bootstrap import choose_block_length, row_weights
from finscale.evaluation.calibration import probabilities
from finscale.evaluation.config import EvaluateConfig
from finscale.splits import Split
from finscale.storage import read_json, write_csv, write_json, write_parquet
from finscale.training import checkpoint
from finscale.training.loop import predict
from finscale.windows import Windows

DEVELOPMENT = Path("data/processed/development.parquet")
TEST = Path("data/processed/test.parquet")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
CALIBRATION = Path("models/calibration.json")
PREDICTIONS = Path("data/processed/predictions.parquet")
METRICS = Path("metrics/evaluate.json")
EXPERIMENT = Path("metrics/experiment.json")
RELIABILITY = Path("plots/reliability.csv")
SCALING_POINT = Path("plots/scaling_point.csv")

EVALUATED: tuple[Split, ...] = ("validation", "test")
_WEEK = 5  # sessions: the longest exit of the weekly horizon


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


def model_predictions(rows: pd.DataFrame, trained: checkpoint.Checkpoint, split: Split) -> np.ndarray:
    """Calibrated probabilities, or returns, one per row of the split."""
    windows = Windows(rows, split, trained.model.context_length, trained.compute.device)
    output = predict(trained.network, windows, trained.compute)
    if trained.target.binary:
        return probabilities(output, read_json(CALIBRATION)["temperature"])
    return output.astype(float) * trained.target.std + trained.target.mean


def all_predictions(rows: pd.DataFrame, trained: checkpoint.Checkpoint, params: Params) -> pd.DataFrame:
    """Predictions of the model and every baseline on the validation and test rows."""
    parts = {split: rows[rows["split"] == split] for split in ("train", *EVALUATED)}
    tables = []
    for split in EVALUATED:
        table = parts[split][["date", "asset", "split", "label"]].assign(model=model_predictions(rows, trained, split))
        fitted = baselines.fit_and_predict(
            parts["train"],
            parts["validation"],
            parts[split],
            params.binary,
            params.evaluate.catboost_iterations,
            params.seed,
        )
        tables.append(table.assign(**fitted))
    return pd.concat(tables, ignore_index=True)


def check_complete(predictions: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Every labelled day of a split has a prediction, and no prediction is missing (SPEC 12.11)."""
    for split in EVALUATED:
        expected, found = (rows["split"] == split).sum(), (predictions["split"] == split).sum()
        if expected != found or predictions.isna().any(axis=None):
            raise InputError(f"evaluate: {found} predictions for {expected} {split} rows, or some without a value")


def score(test: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Loss and skill of the model and each baseline, and the model's other metrics, with intervals."""
    config, label = params.evaluate, test["label"].to_numpy()
    loss = {
        name: metrics.loss_rows(label, test[name].to_numpy(), params.binary) for name in ("model", *baselines.BASELINES)
    }
    block = config.block_length
    if block == "auto":
        daily = pd.Series(loss["model"]).groupby(test["date"].to_numpy()).mean().to_numpy()
        block = choose_block_length(daily, _WEEK if params.horizon == "weekly" else params.horizon)
    # The resampling is part of the measurement, not of the experiment: its seed never varies.
    weights = row_weights(test["date"].to_numpy(), block, config.resamples, seed=0)
    models = {
        name: {
            "loss": asdict(metrics.mean_score(rows, weights, config.confidence)),
            "skill": asdict(metrics.skill_score(rows, loss["base_rate"], weights, config.confidence)),
            "loss_minus_model": asdict(metrics.mean_score(rows - loss["model"], weights, config.confidence)),
        }
        for name, rows in loss.items()
    }
    other = metrics.secondary_scores(label, test["model"].to_numpy(), params.binary, weights, config.confidence)
    return {"block_length": block, "models": models, "other": {name: asdict(value) for name, value in other.items()}}


def experiment(
    params: Params, trained: checkpoint.Checkpoint, scores: dict[str, Any], test: pd.DataFrame
) -> dict[str, Any]:
    """All that the ledger keeps of this run, measured and not labelled."""
    compute = {"device": trained.compute.device.type, "precision": trained.compute.precision}
    return {
        "axes": params.axes(),
        "run": trained.run,
        "compute": compute | {"threads": trained.compute.threads, "torch": torch.__version__},
        "test_rows": len(test),
        "scores": scores,
        **spread(test, trained.target.binary),
    }


def spread(test: pd.DataFrame, binary: bool) -> dict[str, Any]:
    """How much the predictions vary; a model that predicts a constant is named collapsed (SPEC 12.4)."""
    deviation = float(test["model"].std(ddof=0))
    return {"prediction_std": deviation, "collapsed": deviation < metrics.COLLAPSED_STD[binary]}


def headline(scores: dict[str, Any], trained: checkpoint.Checkpoint, test: pd.DataFrame) -> dict[str, Any]:
    """The few numbers that experiments are compared by."""
    loss, skill = scores["models"]["model"]["loss"], scores["models"]["model"]["skill"]
    return {
        "params_counted": trained.run["params_total"],
        "validation_loss": trained.run["validation_loss"],
        "test_loss": loss["value"],
        "test_loss_low": loss["low"],
        "test_loss_high": loss["high"],
        "test_skill": skill["value"],
        "test_skill_low": skill["low"],
        "test_skill_high": skill["high"],
        "test_accuracy": scores["other"]["accuracy"]["value"],
        **spread(test, trained.target.binary),
    }


def write_plots(test: pd.DataFrame, found: dict[str, Any], params: Params) -> None:
    label, prediction = test["label"].to_numpy(), test["model"].to_numpy()
    # A regression has no probabilities: its table is empty, but the output exists.
    curve = pd.DataFrame(metrics.reliability(label, prediction))
    write_csv(RELIABILITY, curve if params.binary else curve.head(0))
    point = {"params": found["params_counted"], "test_loss": found["test_loss"], "budget": format_budget(params.budget)}
    write_csv(SCALING_POINT, pd.DataFrame([point | {"seed": params.seed}]))


def main() -> None:
    params = load_params(Params)
    rows = read_rows()
    trained = checkpoint.load(WEIGHTS, MODEL, feature_names(rows))
    predictions = all_predictions(rows, trained, params)
    check_complete(predictions, rows)
    test = predictions[predictions["split"] == "test"]
    scores = score(test, params)
    found = headline(scores, trained, test)
    write_parquet(PREDICTIONS, predictions)
    write_json(METRICS, found)
    write_json(EXPERIMENT, experiment(params, trained, scores, test))
    write_plots(test, found, params)
    print("evaluate: test loss {test_loss:.5f} ({test_loss_low:.5f} to {test_loss_high:.5f})".format(**found))


if __name__ == "__main__":
    run(main)
