"""evaluate: model + test rows -> metrics/evaluate.json, the experiment's row, predictions

Reads  models/*, data/processed/{development,test}.parquet   (the one stage that opens the test split)
       models/*_folds/, data/processed/{development,test}_folds/, data/processed/folds.csv  of the folds after the first
       data/interim/bars.parquet  closes, from which a baseline forecasts volatility
Writes data/processed/predictions.parquet  date, asset, split, label, exit, model, baselines and the model as each
                                           calibration method leaves it; all folds, told apart by `fold`
       data/processed/conformal.parquet    per test row: was the label in the set, and how wide was it
       metrics/evaluate.json      what `dvc exp show` compares
       metrics/experiment.json    all that the ledger keeps of this run
       plots/reliability.csv      predicted against observed rates on the test split
       plots/by_year.csv          loss, skill and AUC of the model in each year of the test
       plots/scaling_point.csv    this run as one point: `dvc plots diff` draws the curve over runs
       and, where train.tracking is on, the test metrics to the mirrored run
Why    one number with an interval, beside baselines on exactly the same days.
"""

import os
from dataclasses import dataclass
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
from finscale.data.dataset import feature_names, read_development, read_test
from finscale.data.folds import StoredFold, folder_of_later, read_folds
from finscale.data.walk_forward import EvaluationConfig
from finscale.evaluation import scoring
from finscale.evaluation.calibration import reliability
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.conformal import conform
from finscale.evaluation.pooling import describe_folds, pool_runs
from finscale.evaluation.predictions import all_predictions, check_complete
from finscale.evaluation.years import as_records, by_year
from finscale.identity import check_made_from, made_from
from finscale.storage import md5_of, read_json, read_parquet, write_csv, write_json, write_parquet
from finscale.training import checkpoint, mirrors
from finscale.training.checkpoint import Checkpoint
from finscale.training.resume import scratch_folder

DEVELOPMENT = Path("data/processed/development.parquet")
DEVELOPMENT_FOLDS = folder_of_later(DEVELOPMENT)
TEST = Path("data/processed/test.parquet")
TEST_FOLDS = folder_of_later(TEST)
FOLDS = Path("data/processed/folds.csv")
BARS = Path("data/interim/bars.parquet")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
MODEL_FOLDS = folder_of_later(MODEL)
CALIBRATION = Path("models/calibration.json")
CALIBRATION_FOLDS = folder_of_later(CALIBRATION)
PREDICTIONS = Path("data/processed/predictions.parquet")
CONFORMAL = Path("data/processed/conformal.parquet")
METRICS = Path("metrics/evaluate.json")
EXPERIMENT = Path("metrics/experiment.json")
RELIABILITY = Path("plots/reliability.csv")
BY_YEAR = Path("plots/by_year.csv")
SCALING_POINT = Path("plots/scaling_point.csv")


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
    evaluation: EvaluationConfig
    evaluate: EvaluateConfig

    @property
    def binary(self) -> bool:
        return is_binary(self.task)

    def axes(self) -> dict[str, Any]:
        told = self.model_dump(exclude={"evaluate", "evaluation", "budget"})
        return told | {"budget": format_budget(self.budget), "scheme": self.evaluation.identity(self.source)}


@dataclass(frozen=True)
class Predicted:
    """One fold's model and predictions."""

    name: str
    trained: Checkpoint
    predictions: pd.DataFrame  # with a column `fold` where there are several
    conformal: pd.DataFrame


def predict_fold(params: Params, bars: pd.DataFrame, fold: StoredFold) -> Predicted:
    """A fold's model, calibration and baselines on its own rows, and the conformal sets of its test rows."""
    rows = pd.concat([read_development(fold.of(DEVELOPMENT)), read_test(fold.of(TEST))])
    rows = rows.sort_values(["asset", "date"], ignore_index=True)
    trained = checkpoint.load(fold.of(WEIGHTS), fold.of(MODEL), feature_names(rows))
    check_made_from(trained.run.get("made_from"), params, fold.of(MODEL))
    # A rolling fold has forgotten what lies before its rows, the volatility baseline too.
    known = bars if fold.begins is None else bars[bars["date"] >= rows["date"].min()]
    config, calibration = params.evaluate, read_json(fold.of(CALIBRATION))
    predictions = all_predictions(rows, known, trained, calibration, config.catboost_iterations, params.seed)
    check_complete(predictions, rows)
    parts = dict(tuple(predictions.groupby("split")))
    levels = (config.conformal_level, config.conformal_step)
    conformal = conform(parts["calibration"], parts["test"], params.binary, *levels)
    if fold.count > 1:
        predictions = predictions.assign(fold=fold.name)
    return Predicted(fold.name, trained, predictions, conformal)


def experiment(params: Params, folds: list[Predicted], scores: dict, test: pd.DataFrame) -> dict[str, Any]:
    """All that the ledger keeps of this run, measured and not labelled."""
    compute = folds[0].trained.compute
    of_folds = {fold.name: fold.trained.run for fold in folds}
    return {
        "axes": params.axes(),
        "made_from": made_from(params, [MODEL, WEIGHTS, CALIBRATION, DEVELOPMENT, TEST]),
        "run": pool_runs(list(of_folds.values())),
        "compute": {
            "device": compute.device.type,
            "precision": compute.precision,
            "threads": compute.threads,
            "torch": torch.__version__,
        },
        "test_rows": len(test),
        "scores": scores,
        **scoring.spread(test, params.binary),
        "folds": describe_folds(test, of_folds, params.binary) if len(folds) > 1 else [],
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
    bars, config = read_parquet(BARS), params.evaluate
    folds = [predict_fold(params, bars, fold) for fold in read_folds(FOLDS)]
    predictions = pd.concat([fold.predictions for fold in folds], ignore_index=True)
    conformal = pd.concat([fold.conformal for fold in folds], ignore_index=True)
    test = predictions[predictions["split"] == "test"]
    drawn = scoring.resampling(test, params.horizon, params.binary, config)
    scores = scoring.score(test, params.binary, drawn)
    scores["conformal"] = scoring.conformal_scores(conformal, config.conformal_level, drawn)
    told = experiment(params, folds, scores, test)
    found = scoring.headline(scores, told["run"], test, params.binary)
    years = by_year(test, params.binary, drawn.block_length, config.resamples, config.confidence)
    write_parquet(PREDICTIONS, predictions)
    write_parquet(CONFORMAL, conformal)
    write_json(METRICS, found)
    write_json(EXPERIMENT, told | {"by_year": as_records(years)})
    write_csv(BY_YEAR, years)
    write_plots(test, found, drawn, params)
    mirrors.add_results(scratch_folder(dict(os.environ), Path.cwd()) / "tracking", md5_of(WEIGHTS), found)
    of_folds = f"{len(folds)} folds, {len(test)} test days together: " if len(folds) > 1 else ""
    interval = "{test_loss:.5f} ({test_loss_low:.5f} to {test_loss_high:.5f})".format(**found)
    print(f"evaluate: {of_folds}test loss {interval}")


if __name__ == "__main__":
    run(main)
