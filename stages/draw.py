"""draw: the tables of data and evaluation -> pictures

Reads  data/raw/manifest.csv
       data/processed/{predictions,conformal}.parquet, metrics/experiment.json, plots/{reliability,equity,by_year}.csv
Writes plots/coverage.png     which series there are, from when to when
       plots/reliability.png  predicted against observed rates (a regression: predicted against realised values)
       plots/ranking.png      ROC and precision-recall curves, of the model and the baselines
       plots/equity.png       hypothetical equity with drawdown and position
       plots/conformal.png    coverage and width over time
       plots/by_year.png      skill in each year
Why    what a number hides, a picture shows. Nothing is computed here that is not in a table.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Task, is_binary, load_params
from finscale.evaluation.baseline_names import names_in
from finscale.evaluation.ranking import wanted_first
from finscale.pages import run_figures
from finscale.pages.data_figures import plot_coverage
from finscale.pages.run_tables import rankings
from finscale.storage import read_json, read_parquet, write_atomically
from stages.paths import BY_YEAR_TABLE, CONFORMAL, EQUITY_TABLE, EXPERIMENT, PREDICTIONS, RELIABILITY_TABLE

MANIFEST = Path("data/raw/manifest.csv")
SERIES_FIGURE = Path("plots/coverage.png")
RELIABILITY = Path("plots/reliability.png")
RANKING = Path("plots/ranking.png")
EQUITY = Path("plots/equity.png")
COVERAGE = Path("plots/conformal.png")
BY_YEAR = Path("plots/by_year.png")


class Params(Block):
    task: Task


def main() -> None:
    task = load_params(Params).task
    binary = is_binary(task)
    predictions, scores = read_parquet(PREDICTIONS), read_json(EXPERIMENT)["scores"]
    test = predictions[predictions["split"] == "test"]
    ranked = test.assign(label=wanted_first(test, task))
    found, share = rankings(ranked, ["model", *names_in(test)]), float(ranked["label"].mean())
    pictures = {
        SERIES_FIGURE: lambda path: plot_coverage(pd.read_csv(MANIFEST), path),
        RELIABILITY: lambda path: (
            run_figures.plot_reliability(pd.read_csv(RELIABILITY_TABLE), path, scores["confidence"])
            if binary
            else run_figures.plot_scatter(test, task, path)
        ),
        RANKING: lambda path: run_figures.plot_ranking(found, scores["other"].get("auc"), share, path),
        EQUITY: lambda path: run_figures.plot_equity(pd.read_csv(EQUITY_TABLE), path),
        COVERAGE: lambda path: run_figures.plot_conformal(read_parquet(CONFORMAL), scores["conformal"], binary, path),
        BY_YEAR: lambda path: run_figures.plot_by_year(pd.read_csv(BY_YEAR_TABLE), path, scores["confidence"]),
    }
    for path, draw in pictures.items():
        write_atomically(path, draw)
    print(f"draw: {', '.join(map(str, pictures))}")


if __name__ == "__main__":
    run(main)
