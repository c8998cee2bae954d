"""evaluate: predictions + labels -> metrics/evaluate.json, the experiment's row, predictions.parquet

Reads  data/processed/{model,baseline}_predictions.parquet
       data/processed/development.parquet, test_labels.parquet  keys and labels: no feature, and nobody else opens the
                                           second
       data/interim/bars.parquet           closes, for what came of a prediction where symbols are told apart by it
       models/model.json                   counts, costs and compute, as training recorded them
       data/processed/{development,test_labels}_folds/, models/model_folds/, data/processed/folds.csv  of the folds
                                           after the first
Writes models/calibration.json             the chosen method, every method's numbers, and the calibration rows' loss
                                           with each; calibration_folds/ those of the folds after the first
       data/processed/predictions.parquet  date, asset, split, label, exit, model, the model as each calibration method
                                           leaves it, and baselines; all folds, told apart by `fold`
       data/processed/conformal.parquet    per test row: was the label in the set, and how wide was it
       data/processed/cross_section.parquet  per test day: IC and rank IC of every prediction; no row of fewer symbols
                                           than ten
       metrics/headline.json      the few numbers that `dvc exp show` has columns for
       metrics/evaluate.json      the headline with all that belongs to it
       metrics/compare.json       every model on the same days: pairwise differences, Model Confidence Set, SPA test
       data/processed/rankings.json  ROC and precision-recall curves of the model and the baselines
       metrics/experiment.json    all that the ledger keeps of this run
       metrics/daily_losses.parquet  per test day: rows and mean losses, of the model calibrated and not, and baselines
       metrics/daily_losses_unseen.parquet  the same of the second test, on symbols that never trained; no row without
       plots/reliability.csv      predicted against observed rates on the test split
       plots/by_year.csv          loss, skill and AUC of the model in each year of the test
       plots/scaling_point.csv    this run as one point: `dvc plots diff` draws the curve over runs
       and, where train.tracking is on, the test metrics to the mirrored run
Why    one number with an interval, beside baselines on exactly the same days. Statistics alone: with a new metric it is
       done again on any machine, without weights. Probabilities are fitted to reality before a test label is opened, on
       rows that neither trained nor chose the model; the method is a setting, none is chosen by its loss. Of the
       training rows calibration takes the base rate alone, which one of its methods shrinks towards.
"""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Axes, format_budget, is_binary, load_params
from finscale.data.config import EvaluationConfig
from finscale.data.dataset import SCORED, read_development, read_test_labels
from finscale.data.folds import StoredFold, read_folds, remove_others
from finscale.data.labels import horizon_on
from finscale.data.splits import UNSEEN
from finscale.evaluation import cross_section, scoring
from finscale.evaluation.base_rate import base_rate
from finscale.evaluation.baseline_names import names_in
from finscale.evaluation.bootstrap import horizon_sessions
from finscale.evaluation.calibration import calibration_of, reliability
from finscale.evaluation.comparison import BENCHMARK, compare, losses_per_day
from finscale.evaluation.config import CalibrateConfig, CompareConfig, EvaluateConfig
from finscale.evaluation.conformal import conform
from finscale.evaluation.day_file import write_day_file
from finscale.evaluation.pooling import describe_folds, pool_runs
from finscale.evaluation.predictions import predictions_of
from finscale.evaluation.ranking import rankings, wanted_first
from finscale.evaluation.rows import attach
from finscale.evaluation.score_names import correlations
from finscale.evaluation.years import as_records, by_year
from finscale.identity import check_made_from, made_from, study_name
from finscale.storage import read_json, read_parquet, write_csv, write_json, write_parquet
from finscale.training import mirrors
from finscale.training.scratch import scratch_folder
from stages.paths import (
    BARS,
    BASELINE_PREDICTIONS,
    BY_YEAR_TABLE,
    CALIBRATION,
    COMPARED,
    CONFORMAL,
    CROSS_SECTION,
    DEVELOPMENT,
    EXPERIMENT,
    FOLDS,
    MODEL,
    MODEL_PREDICTIONS,
    PREDICTIONS,
    RANKINGS,
    RELIABILITY_TABLE,
    TEST_LABELS,
)

HEADLINE = Path("metrics/headline.json")
METRICS = Path("metrics/evaluate.json")
DAILY_LOSSES = Path("metrics/daily_losses.parquet")
DAILY_UNSEEN = Path("metrics/daily_losses_unseen.parquet")
SCALING_POINT = Path("plots/scaling_point.csv")


class Params(Axes):
    evaluation: EvaluationConfig
    calibrate: CalibrateConfig
    evaluate: EvaluateConfig
    compare: CompareConfig

    @property
    def binary(self) -> bool:
        return is_binary(self.task)

    @property
    def horizon_bars(self) -> int:
        return horizon_sessions(horizon_on(self.timescale, self.horizon))

    def axes(self) -> dict[str, Any]:
        told = self.model_dump(exclude={"calibrate", "evaluate", "compare", "evaluation", "budget"})
        return told | {"budget": format_budget(self.budget), "scheme": self.evaluation.identity(self.source)}


def calibrate(params: Params, folds: list[StoredFold]) -> None:
    """Write models/calibration.json of each fold: of outputs and labels of its calibration rows."""
    outputs = read_parquet(MODEL_PREDICTIONS)
    for fold in folds:
        if not params.binary:  # a regression has no probabilities to calibrate
            write_json(fold.of(CALIBRATION), {"method": "none"})
            continue
        rows = read_development(fold.of(DEVELOPMENT), SCORED)
        judged = attach(rows[rows["split"] == "calibration"], outputs, fold, "predict")
        logits, label = judged["output"].to_numpy(), judged["label"].to_numpy()
        found = calibration_of(logits, label, base_rate(rows), params.calibrate.method)
        write_json(fold.of(CALIBRATION), found)
        before, after = found["loss"]["none"], found["loss"][found["method"]]
        print(
            f"evaluate: {fold.prefix}calibration by {found['method']} on {found['rows']} rows, "
            f"their loss {before:.5f} before, {after:.5f} after"
        )
    remove_others(CALIBRATION, folds)


def join(folds: list[StoredFold]) -> list[pd.DataFrame]:
    """Each fold's rows with their labels, the model, each calibration of it, and baselines."""
    outputs, baselines = read_parquet(MODEL_PREDICTIONS), read_parquet(BASELINE_PREDICTIONS)
    joined = []
    for fold in folds:
        rows = pd.concat([read_development(fold.of(DEVELOPMENT), SCORED), read_test_labels(fold.of(TEST_LABELS))])
        joined.append(predictions_of(rows, outputs, baselines, read_json(fold.of(CALIBRATION)), fold))
    return joined


def conform_fold(predictions: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The conformal sets of a fold's test rows."""
    calibration, test = (predictions[predictions["split"] == split] for split in ("calibration", "test"))
    return conform(calibration, test, params.binary, params.evaluate.conformal_level, params.evaluate.conformal_step)


def train_symbols(folds: list[StoredFold]) -> int:
    """How many symbols trained, in any fold."""
    rows = pd.concat([read_development(fold.of(DEVELOPMENT), ["asset", "split"]) for fold in folds])
    return int(rows.loc[rows["split"] == "train", "asset"].nunique())


def second_test(predictions: pd.DataFrame, bars: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Scores on symbols that never trained, {} where there are none; writes their losses per day."""
    unseen = predictions[predictions["split"] == UNSEEN]
    write_day_file(DAILY_UNSEEN, losses_per_day(unseen, params.binary))
    if unseen.empty:
        return {}
    drawn = scoring.resampling(unseen, params.horizon_bars, params.binary, params.evaluate)
    scores = scoring.score(unseen, params.task, drawn)
    told = {"symbols": int(unseen["asset"].nunique()), "rows": len(unseen), "scores": scores}
    ics = cross_section.daily_ic(unseen, bars, params.task)
    across = cross_section.summary(ics, unseen, params.horizon_bars, params.evaluate)
    return told | ({"cross_section": across} if across else {})


def experiment(
    params: Params, models: dict[str, Any], scores: dict, test: pd.DataFrame, folds: list[StoredFold]
) -> dict[str, Any]:
    """All that the ledger keeps of this run, measured and not labelled. models: fold -> its models/model.json."""
    of_folds = {name: model["run"] for name, model in models.items()}
    return {
        "axes": params.axes(),
        "made_from": made_from(params, [MODEL, MODEL_PREDICTIONS, BASELINE_PREDICTIONS, CALIBRATION, TEST_LABELS]),
        "run": pool_runs(list(of_folds.values())),
        "compute": next(iter(models.values()))["compute"],
        "test_rows": len(test),
        "train_symbols": train_symbols(folds),
        "scores": scores,
        **scoring.spread(test, params.binary),
        "folds": describe_folds(test, of_folds, params.binary) if len(models) > 1 else [],
    }


def correlate(
    test: pd.DataFrame, bars: pd.DataFrame, years: pd.DataFrame, params: Params
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the cross-section says, {} of one symbol, and the years with the rank IC of each; writes the days."""
    config, horizon = params.evaluate, params.horizon_bars
    ics = cross_section.daily_ic(test, bars, params.task)
    write_parquet(CROSS_SECTION, ics)
    if ics.empty:
        return cross_section.summary(ics, test, horizon, config), years
    by_years = cross_section.by_year(ics, horizon, config)
    return cross_section.summary(ics, test, horizon, config), years.merge(by_years, on="year", how="left")


def write_plots(test: pd.DataFrame, found: dict[str, Any], drawn: scoring.Resampling, params: Params) -> None:
    if params.binary:
        curve = reliability(test["label"].to_numpy(), test["model"].to_numpy(), drawn.draws, drawn.enclosed)
    else:  # a regression has no probabilities: its table is empty, but the output exists
        curve = pd.DataFrame(columns=["predicted", "observed", "rows", "low", "high"])
    write_csv(RELIABILITY_TABLE, curve)
    point = {"params": found["params_counted"], "test_loss": found["test_loss"], "budget": format_budget(params.budget)}
    curve = {"seed": params.seed, "experiment": study_name(params.axes())}
    write_csv(SCALING_POINT, pd.DataFrame([point | curve]))


def compare_models(test: pd.DataFrame, params: Params, scores: dict[str, Any]) -> None:
    found = compare(test, params.task, scores["block_length"], scores["confidence"], params.compare)
    write_json(COMPARED, found)
    best = [name for name, about in found["model_confidence_set"].items() if about["in_set"]]
    p_value = found["superior_predictive_ability"]["p_value"]
    print(f"evaluate: not told from the best: {', '.join(best)}; any better than {BENCHMARK}: p = {p_value:.3f}")
    ranked = test.assign(label=wanted_first(test, params.task))
    curves = rankings(ranked, ["model", *names_in(test)])
    write_json(RANKINGS, {"share": float(ranked["label"].mean()), "curves": [one.as_dict() for one in curves]})


def main() -> None:
    params, folds = load_params(Params), read_folds(FOLDS)
    calibrate(params, folds)
    config, joined = params.evaluate, join(folds)
    models = {fold.name: read_json(fold.of(MODEL)) for fold in folds}
    for fold in folds:
        check_made_from(models[fold.name]["run"].get("made_from"), params, fold.of(MODEL))
    predictions = pd.concat(joined, ignore_index=True)
    conformal = pd.concat([conform_fold(rows, params) for rows in joined], ignore_index=True)
    test = predictions[predictions["split"] == "test"]
    drawn = scoring.resampling(test, params.horizon_bars, params.binary, config)
    scores = scoring.score(test, params.task, drawn)
    scores["conformal"] = scoring.conformal_scores(conformal, config.conformal_level, drawn)
    told = experiment(params, models, scores, test, folds)
    found = scoring.headline(scores, told["run"], test, params.binary)
    bars = read_parquet(BARS, ["date", "asset", "close"])
    if unseen := second_test(predictions, bars, params):
        told["unseen"], found["unseen"] = unseen, scoring.second_headline(unseen)
    years = by_year(test, params.binary, drawn.block_length, config.resamples, config.confidence)
    across, years = correlate(test, bars, years, params)
    told |= {"cross_section": across} if across else {}
    found |= correlations(told, "test_")
    write_parquet(PREDICTIONS, predictions)
    write_parquet(CONFORMAL, conformal)
    write_day_file(DAILY_LOSSES, losses_per_day(test, params.binary))
    write_json(HEADLINE, scoring.columns(found))
    write_json(METRICS, found)
    write_json(EXPERIMENT, told | {"by_year": as_records(years)})
    write_csv(BY_YEAR_TABLE, years)
    write_plots(test, found, drawn, params)
    compare_models(test, params, scores)
    tracked = scratch_folder(dict(os.environ), Path.cwd()) / "tracking"
    mirrors.add_results(tracked, models[folds[0].name]["weights_md5"], found)
    of_folds = f"{len(folds)} folds, {len(test)} test days together: " if len(folds) > 1 else ""
    interval = "{test_loss:.5f} ({test_loss_low:.5f} to {test_loss_high:.5f})".format(**found)
    print(f"evaluate: {of_folds}test loss {interval}")
    if unseen:
        print(
            "evaluate: on {symbols} symbols never seen: loss {loss:.5f} ({loss_low:.5f} to {loss_high:.5f})".format(
                **found["unseen"]
            )
        )


if __name__ == "__main__":
    run(main)
