"""report: all results -> reports/index.html, reports/report.md, and one screen of result

Reads  metrics/{dataset,evaluate,experiment,compare,trade,scaling}.json, plots/reliability.csv, dvclive/
       data/processed/{predictions,conformal}.parquet, plots/equity.csv   the curves of this run
       plots/*.png, models/tune/   what other stages have drawn
       reports/scaling.json, results/all_results.csv, plots/scaling/, data/raw/manifest.csv
       finscale/page.html, .dvc/plots/offline.html   the page's template, and the page that holds Vega
Writes reports/index.html    everything on one page that opens without a network
       reports/report.md     the result with its tables and figures
       reports/summary.txt   the same as one screen, also printed
       plots/run.png         loss curves, test losses with intervals, reliability
Why    a person should see at once what came out, and against what.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.pages.page import render
from finscale.pages.run_curves import RunCurves, coverage_table, equity_table, precision_recall_table, roc_table
from finscale.pages.run_summary import (
    Table,
    headline,
    markdown,
    plot_run,
    scaling_sentence,
    score_table,
    split_table,
    summary_text,
    year_table,
)
from finscale.pages.study_page import Results, build_page
from finscale.storage import md5_of, read_json, read_parquet, write_atomically, write_text

DATASET_METRICS = Path("metrics/dataset.json")
METRICS = Path("metrics/evaluate.json")
EXPERIMENT = Path("metrics/experiment.json")
COMPARED = Path("metrics/compare.json")
TRADED = Path("metrics/trade.json")
SCALING_METRICS = Path("metrics/scaling.json")
SCALING_REPORTS = Path("reports/scaling.json")
ALL_RESULTS = Path("results/all_results.csv")
SCALING_FIGURES = Path("plots/scaling")
RELIABILITY = Path("plots/reliability.csv")
MANIFEST = Path("data/raw/manifest.csv")
LOG = Path("dvclive")
TUNED = Path("models/tune")
TEMPLATE = Path("finscale/page.html")
PLOTS_PAGE = Path(".dvc/plots/offline.html")
SCALING_FIGURE = Path("plots/scaling_curve.png")
COVERAGE_FIGURE = Path("plots/coverage.png")
RELIABILITY_FIGURE = Path("plots/reliability.png")
PREDICTIONS = Path("data/processed/predictions.parquet")
CONFORMAL = Path("data/processed/conformal.parquet")
EQUITY = Path("plots/equity.csv")
BY_YEAR_FIGURE = Path("plots/by_year.png")
RUN_FIGURE = Path("plots/run.png")
PAGE = Path("reports/index.html")
REPORT = Path("reports/report.md")
SUMMARY = Path("reports/summary.txt")

FIGURES = {
    "skill by year": BY_YEAR_FIGURE,
    "coverage of the raw series": COVERAGE_FIGURE,
}

_TEXT = ("budget", "key", "code", "data", "commit", "settings")  # columns of ALL_RESULTS that may look like numbers

# Everything that decides a number on the page, for its provenance.
_INPUTS = (DATASET_METRICS, METRICS, EXPERIMENT, COMPARED, TRADED, SCALING_REPORTS, ALL_RESULTS, RELIABILITY, MANIFEST)


def read_losses() -> pd.DataFrame:
    """DVCLive's loss curves as one table: epoch (from 1), train, validation."""
    curves = {
        split: pd.read_csv(LOG / f"plots/metrics/{split}/loss.tsv", sep="\t") for split in ("train", "validation")
    }
    return pd.DataFrame({"epoch": curves["train"]["step"]} | {name: curve["loss"] for name, curve in curves.items()})


def interval_rows(scores: dict[str, dict[str, dict[str, float]]]) -> Table:
    rows = [
        {"name": name, "loss": score["loss"]["value"], "low": score["loss"]["low"], "high": score["loss"]["high"]}
        for name, score in scores.items()
    ]
    return sorted(rows, key=lambda row: row["loss"])


def notes(experiment: dict[str, Any], scaling: dict[str, Any]) -> list[str]:
    walked = [
        "Walk-forward: windows are counted once per fold; loss curves are the first fold's, epochs means over folds.",
        "Each fold has its own base rate, baselines and calibration, from its own days.",
    ]
    return [
        *([f"The curve's settings that are not the plain ones: {scaling['settings']}."] if scaling["settings"] else []),
        *(f"Set aside: {fault}" for fault in scaling["set_aside"]),
        *(walked if experiment["folds"] else []),
        f"Intervals: circular block bootstrap over days, blocks of {experiment['scores']['block_length']} days; wider "
        "the fewer blocks there are (docs/intervals.md).",
        "Skill: 1 - loss / loss of the base rate of the training days, on the same days.",
        "Baselines are fitted on the training days; CatBoost stops early on the validation days.",
        "Early stopping uses the validation days, calibration the days after them, nothing the test days.",
        "The interval of alpha covers seeds and lack of fit, not the choice of the test period.",
        "Flat: the whole interval is below 1 % of the loss per tenfold parameters; undecidable: it is wider.",
    ]


def pictures(several: bool) -> dict[str, Path]:
    """Caption -> file. The comparison of experiments says nothing new where there is one."""
    found = sorted(SCALING_FIGURES.glob("*.svg"))
    return {path.stem.replace("-", ": ", 1): path for path in found if several or path.stem != "tasks"}


def figures(binary: bool) -> dict[str, Path]:
    """Caption -> file: what no chart of the page shows, and the hyper-parameter search where there was one."""
    searched = {f"search: {path.stem.replace('_', ' ')}": path for path in sorted(TUNED.glob("*.png"))}
    # A regression has no rates: its answer to reliability is a picture of predicted against realised returns.
    return ({} if binary else {"predicted against realised returns": RELIABILITY_FIGURE}) | FIGURES | searched


def run_curves(experiment: dict[str, Any]) -> RunCurves:
    """The test days of this run: ranking of the model and each baseline, equity, coverage."""
    predictions, scores = read_parquet(PREDICTIONS), experiment["scores"]
    test = predictions[predictions["split"] == "test"]
    positive = (test["label"] > 0).to_numpy(dtype=float)
    names = [name for name in scores["models"] if test[name].nunique() > 1]  # what predicts one constant ranks nothing
    return RunCurves(
        roc=roc_table(test, names, positive),
        precision_recall=precision_recall_table(test, names, positive),
        equity=equity_table(pd.read_csv(EQUITY)),
        coverage=coverage_table(read_parquet(CONFORMAL)),
        level=scores["conformal"]["level"],
    )


def page_results(experiment: dict[str, Any], reliability: pd.DataFrame) -> Results:
    reports, scaling = read_json(SCALING_REPORTS), read_json(SCALING_METRICS)
    return Results(
        experiment=experiment,
        evaluated=read_json(METRICS),
        splits=read_json(DATASET_METRICS),
        compared=read_json(COMPARED),
        traded=read_json(TRADED),
        study=scaling["experiment"],
        reports=reports,
        runs=pd.read_csv(ALL_RESULTS, dtype=dict.fromkeys(_TEXT, str)),
        reliability=reliability,
        losses=read_losses(),
        manifest=pd.read_csv(MANIFEST, keep_default_na=False),
        pictures=pictures(several=len(reports) > 1),
        figures=figures(binary=len(reliability) > 0),
        curves=run_curves(experiment),
        isoflop=scaling["isoflop"],
        inputs={path.as_posix(): md5_of(path) for path in _INPUTS},
        notes=notes(experiment, scaling),
    )


def write_texts(experiment: dict[str, Any]) -> None:
    """report.md and the screen, which is printed as well."""
    lines = headline(experiment, read_json(METRICS))
    tables = [split_table(read_json(DATASET_METRICS)), score_table(experiment)]
    by_year = [*tables, year_table(experiment)]
    scaling, figures = read_json(SCALING_METRICS), [RUN_FIGURE, SCALING_FIGURE]
    sentence = scaling_sentence(scaling)
    write_text(REPORT, markdown(lines, by_year, sentence, figures, notes(experiment, scaling)))
    summary = summary_text(lines, tables, sentence, [*figures, PAGE])
    write_text(SUMMARY, summary)
    print(summary)


def main() -> None:
    experiment, reliability = read_json(EXPERIMENT), pd.read_csv(RELIABILITY)
    intervals = interval_rows(experiment["scores"]["models"])
    shown = reliability if len(reliability) else None
    write_atomically(RUN_FIGURE, lambda temporary: plot_run(read_losses(), intervals, shown, temporary))
    page = build_page(page_results(experiment, reliability))
    write_text(PAGE, render(page, TEMPLATE, PLOTS_PAGE))
    write_texts(experiment)


if __name__ == "__main__":
    run(main)
