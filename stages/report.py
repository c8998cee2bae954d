"""report: all results -> reports/report.md, and one screen of result

Reads  metrics/{dataset,evaluate,experiment,scaling}.json, plots/reliability.csv, dvclive/
Writes reports/report.md     the result with its tables and figures
       reports/summary.txt   the same as one screen, also printed
       plots/run.png         loss curves, test losses with intervals, reliability
Why    a person should see at once what came out, and against what.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.reporting import (
    Table,
    headline,
    markdown,
    plot_run,
    scaling_sentence,
    score_table,
    split_table,
    summary_text,
)
from finscale.storage import read_json, write_atomically, write_text

DATASET_METRICS = Path("metrics/dataset.json")
METRICS = Path("metrics/evaluate.json")
EXPERIMENT = Path("metrics/experiment.json")
SCALING_METRICS = Path("metrics/scaling.json")
RELIABILITY = Path("plots/reliability.csv")
LOG = Path("dvclive")
SCALING_FIGURE = Path("plots/scaling_curve.png")
RUN_FIGURE = Path("plots/run.png")
REPORT = Path("reports/report.md")
SUMMARY = Path("reports/summary.txt")


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


def main() -> None:
    experiment, evaluated = read_json(EXPERIMENT), read_json(METRICS)
    reliability = pd.read_csv(RELIABILITY)
    shown = reliability if len(reliability) else None
    intervals = interval_rows(experiment["scores"]["models"])
    write_atomically(RUN_FIGURE, lambda temporary: plot_run(read_losses(), intervals, shown, temporary))
    lines = headline(experiment, evaluated)
    tables = [split_table(read_json(DATASET_METRICS)), score_table(experiment)]
    scaling = scaling_sentence(read_json(SCALING_METRICS))
    figures = [RUN_FIGURE, SCALING_FIGURE]
    notes = [
        f"Intervals: moving-block bootstrap over days, blocks of {experiment['scores']['block_length']} days.",
        "Skill: 1 - loss / loss of the base rate of the training days, on the same days.",
        "Baselines are fitted on the training days; CatBoost stops early on the validation days.",
        "Early stopping and the temperature use the validation days, nothing uses the test days.",
    ]
    write_text(REPORT, markdown(lines, tables, scaling, figures, notes))
    summary = summary_text(lines, tables, scaling, [*figures, REPORT])
    write_text(SUMMARY, summary)
    print(summary)


if __name__ == "__main__":
    run(main)
