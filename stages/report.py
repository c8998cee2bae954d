"""report: all results -> reports/index.html, reports/report.md, pictures, and one screen of result

Reads  metrics/{evaluate,experiment,compare,trade,scaling}.json, dvclive/, data/processed/dataset.json
       reports/validation.json   what validation warns of
       data/processed/{predictions,conformal,cross_section}.parquet, data/processed/rankings.json,
       plots/{reliability,equity,by_year}.csv   the tables and curves of this run
       models/tune/   what the search has drawn
       reports/{scaling,data_laws}.json, results/all_results.csv, plots/scaling/, data/raw/manifest.csv
       .dvc/plots/offline.html   the page that holds Vega
Writes reports/index.html    everything on one page that opens without a network
       reports/report.md     the result with its tables and figures
       reports/summary.txt   the same as one screen, also printed
       plots/run.png         loss curves, test losses with intervals, reliability
       plots/coverage.png     which series there are, from when to when
       plots/reliability.png  predicted against observed rates (a regression: predicted against realised values)
       plots/ranking.png      ROC and precision-recall curves, of the model and the baselines
       plots/equity.png       hypothetical equity with drawdown and position
       plots/conformal.png    coverage and width over time
       plots/by_year.png      skill in each year
Why    a person should see at once what came out, and against what: what a number hides, a picture shows. Nothing is
       computed here that is not in a table.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Task, is_binary
from finscale.evaluation.ranking import Ranking
from finscale.pages import run_figures
from finscale.pages.data_figures import plot_coverage
from finscale.pages.findings import finding_table, unseen_table, unseen_words
from finscale.pages.page import Results, page_text
from finscale.pages.run_tables import (
    coverage_table,
    cross_section_table,
    equity_table,
    headline,
    report_text,
    rolling_ic,
    scaling_sentence,
    score_rows,
    score_table,
    split_table,
    summary_text,
    year_table,
)
from finscale.pages.style import loss_unit
from finscale.storage import md5_of, read_csv, read_json, read_parquet, write_atomically, write_text
from stages.paths import (
    BY_YEAR_TABLE,
    COMPARED,
    CONFORMAL,
    CROSS_SECTION,
    EQUITY_TABLE,
    EXPERIMENT,
    LOG,
    PREDICTIONS,
    RANKINGS,
    RELIABILITY_TABLE,
    TUNED,
)

DATASET_METRICS = Path("data/processed/dataset.json")
METRICS = Path("metrics/evaluate.json")
TRADED = Path("metrics/trade.json")
SCALING_METRICS = Path("metrics/scaling.json")
SCALING_REPORTS = Path("reports/scaling.json")
DATA_LAWS = Path("reports/data_laws.json")
ALL_RESULTS = Path("results/all_results.csv")
SCALING_FIGURES = Path("plots/scaling")
MANIFEST = Path("data/raw/manifest.csv")
FINDINGS = Path("reports/validation.json")
PLOTS_PAGE = Path(".dvc/plots/offline.html")
SCALING_FIGURE = Path("plots/scaling_curve.png")
COVERAGE_FIGURE = Path("plots/coverage.png")
RELIABILITY_FIGURE = Path("plots/reliability.png")
BY_YEAR_FIGURE = Path("plots/by_year.png")
RANKING_FIGURE = Path("plots/ranking.png")
EQUITY_FIGURE = Path("plots/equity.png")
CONFORMAL_FIGURE = Path("plots/conformal.png")
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
_INPUTS = (
    DATASET_METRICS,
    METRICS,
    EXPERIMENT,
    COMPARED,
    TRADED,
    SCALING_REPORTS,
    ALL_RESULTS,
    RELIABILITY_TABLE,
    MANIFEST,
    FINDINGS,
)


def read_losses() -> pd.DataFrame:
    """DVCLive's loss curves as one table: epoch (from 1), train, validation."""
    curves = {split: read_csv(LOG / f"plots/metrics/{split}/loss.tsv", sep="\t") for split in ("train", "validation")}
    return pd.DataFrame({"epoch": curves["train"]["step"]} | {name: curve["loss"] for name, curve in curves.items()})


def notes(experiment: dict[str, Any], scaling: dict[str, Any]) -> list[str]:
    walked = [
        "Walk-forward: windows are counted once per fold; loss curves are the first fold's, epochs means over folds.",
        "Each fold has its own base rate, baselines and calibration, from its own days.",
    ]
    of_symbols = [
        "IC, rank IC: mean over days of the correlation, Pearson's and Spearman's, over the symbols of a day, of what "
        "was predicted with the return that followed (volatility, surprise: with the label); days are redrawn.",
        "Deciles: a tenth of the symbols long, a tenth short, 1 of the capital on each side, after costs.",
    ]
    return [
        *([f"The curve's settings that are not the plain ones: {scaling['settings']}."] if scaling["settings"] else []),
        *(f"Set aside: {fault}" for fault in scaling["set_aside"]),
        *(walked if experiment["folds"] else []),
        *(of_symbols if any("cross_section" in one for one in (experiment, experiment.get("unseen", {}))) else []),
        f"Intervals: circular block bootstrap over days, blocks of {experiment['scores']['block_length']} days; wider "
        "the fewer blocks there are (docs/intervals.md).",
        "Skill: 1 - loss / loss of the base rate of the training days, on the same days.",
        "Baselines are fitted on the training days; CatBoost stops early on the validation days.",
        "Early stopping uses the validation days, calibration the days after them, nothing the test days.",
        "The interval of alpha and the band are over seeds, lack of fit and test days; where a run's losses per day "
        "were not kept, over seeds alone, and the curve is not judged. Both are at 95 %, on which the verdict rests, "
        "whatever evaluate.confidence is.",
        "Flat: the whole interval is below 1 % of the loss per tenfold parameters; undecidable: it is wider.",
    ]


def pictures(several: bool) -> dict[str, Path]:
    """Caption -> file. The comparison of experiments says nothing new where there is one."""
    found = sorted(path for path in SCALING_FIGURES.glob("*.svg") if not path.stem.startswith("grid-"))
    return {path.stem.replace("-", ": ", 1): path for path in found if several or path.stem != "tasks"}


def figures(binary: bool) -> dict[str, Path]:
    """Caption -> file: what no chart of the page shows, and the hyper-parameter search where there was one."""
    searched = {f"search: {path.stem.replace('_', ' ')}": path for path in sorted(TUNED.glob("*.png"))}
    # A regression has no rates: its answer to reliability is a picture of predicted against realised values.
    return ({} if binary else {"predicted against realised values": RELIABILITY_FIGURE}) | FIGURES | searched


def page_results(experiment: dict[str, Any], reliability: pd.DataFrame) -> Results:
    # Those without a grid have no figure.
    laws = [(str(law["experiment"]), list(law["words"])) for law in read_json(DATA_LAWS) if "cells" in law["grid"]]
    reports, scaling, ranked = read_json(SCALING_REPORTS), read_json(SCALING_METRICS), read_json(RANKINGS)
    return Results(
        experiment=experiment,
        evaluated=read_json(METRICS),
        splits=read_json(DATASET_METRICS),
        compared=read_json(COMPARED),
        traded=read_json(TRADED),
        study=scaling["experiment"],
        reports=reports,
        runs=read_csv(ALL_RESULTS, text=_TEXT),
        reliability=reliability,
        losses=read_losses(),
        manifest=read_csv(MANIFEST, keep_default_na=False),
        findings=read_json(FINDINGS),
        rankings=[Ranking.of_dict(one) for one in ranked["curves"]],
        share=ranked["share"],
        equity=equity_table(read_csv(EQUITY_TABLE)),
        coverage=coverage_table(read_parquet(CONFORMAL)),
        rank_ic=rolling_ic(read_parquet(CROSS_SECTION)),
        figures=pictures(several=len(reports) > 1),
        own_figures=figures(binary=len(reliability) > 0),
        by_compute=[scaling["isoflop"], scaling["frontier"]],
        size_by_data=[(name, words, SCALING_FIGURES / f"grid-{name}.svg") for name, words in laws],
        inputs={path.as_posix(): md5_of(path) for path in _INPUTS},
        notes=notes(experiment, scaling),
    )


def draw(experiment: dict[str, Any], reliability: pd.DataFrame) -> None:
    """The pictures of this run, each of a table."""
    task: Task = experiment["axes"]["task"]
    scores, unit, ranked, binary = experiment["scores"], loss_unit(task), read_json(RANKINGS), is_binary(task)
    confidence, losses = scores["confidence"], score_rows(experiment)
    curves, area = [Ranking.of_dict(one) for one in ranked["curves"]], scores["other"].get("auc")
    shown = reliability if len(reliability) else None
    pictures: dict[Path, Callable[[Path], None]] = {
        RUN_FIGURE: lambda path: run_figures.plot_run(read_losses(), losses, shown, unit, path, confidence=confidence),
        COVERAGE_FIGURE: lambda path: plot_coverage(read_csv(MANIFEST), path),
        RELIABILITY_FIGURE: lambda path: (
            run_figures.plot_reliability(reliability, path, confidence)
            if binary
            else run_figures.plot_scatter(test_rows(), task, path)
        ),
        RANKING_FIGURE: lambda path: run_figures.plot_ranking(curves, area, ranked["share"], path),
        EQUITY_FIGURE: lambda path: run_figures.plot_equity(read_csv(EQUITY_TABLE), path),
        CONFORMAL_FIGURE: lambda path: run_figures.plot_conformal(
            read_parquet(CONFORMAL), scores["conformal"], binary, path
        ),
        BY_YEAR_FIGURE: lambda path: run_figures.plot_by_year(read_csv(BY_YEAR_TABLE), path, confidence),
    }
    for path, picture in pictures.items():
        write_atomically(path, picture)


def test_rows() -> pd.DataFrame:
    predictions = read_parquet(PREDICTIONS)
    return predictions[predictions["split"] == "test"]


def write_texts(experiment: dict[str, Any]) -> None:
    """report.md and the screen, which is printed as well."""
    lines = [*headline(experiment, read_json(METRICS)), *unseen_words(experiment)]
    tables = [split_table(read_json(DATASET_METRICS)), score_table(experiment)]
    across = [cross_section_table(experiment, second) for second in (False, True)]
    more = [unseen_table(experiment), *across, year_table(experiment)]
    by_year = [*tables, *(table for table in [*more, finding_table(read_json(FINDINGS))] if table)]
    scaling, figures = read_json(SCALING_METRICS), [RUN_FIGURE, SCALING_FIGURE]
    sentence = scaling_sentence(scaling)
    write_text(REPORT, report_text(lines, by_year, sentence, figures, notes(experiment, scaling)))
    summary = summary_text(lines, tables, sentence, [*figures, PAGE])
    write_text(SUMMARY, summary)
    print(summary)


def main() -> None:
    experiment, reliability = read_json(EXPERIMENT), read_csv(RELIABILITY_TABLE)
    draw(experiment, reliability)
    write_text(PAGE, page_text(page_results(experiment, reliability), PLOTS_PAGE))
    write_texts(experiment)


if __name__ == "__main__":
    run(main)
