"""draw: the evaluation's tables -> pictures

Reads  data/processed/{predictions,conformal}.parquet, metrics/experiment.json, plots/{reliability,equity,by_year}.csv
Writes plots/reliability.png  predicted against observed rates (a regression: predicted against realised returns)
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
from finscale.evaluation.baseline_names import names_of
from finscale.pages import run_figures
from finscale.storage import read_json, read_parquet, write_atomically
from stages.paths import BY_YEAR_TABLE, CONFORMAL, EQUITY_TABLE, EXPERIMENT, PREDICTIONS, RELIABILITY_TABLE

RELIABILITY = Path("plots/reliability.png")
RANKING = Path("plots/ranking.png")
EQUITY = Path("plots/equity.png")
COVERAGE = Path("plots/conformal.png")
BY_YEAR = Path("plots/by_year.png")


class Params(Block):
    task: Task


def draw(path: Path, panels: int, picture: run_figures.Draw, stacked: bool = False) -> None:
    write_atomically(path, lambda temporary: run_figures.save(temporary, panels, picture, stacked))


def main() -> None:
    params = load_params(Params)
    binary = is_binary(params.task)
    predictions = read_parquet(PREDICTIONS)
    test = predictions[predictions["split"] == "test"]
    # What predicts one constant ranks nothing.
    names = [name for name in ("model", *names_of(binary)) if test[name].nunique() > 1]
    level = read_json(EXPERIMENT)["scores"]["conformal"]["level"]
    bins = (
        run_figures.reliability_picture(pd.read_csv(RELIABILITY_TABLE)) if binary else run_figures.scatter_picture(test)
    )
    draw(RELIABILITY, 1, bins)
    draw(RANKING, 2, run_figures.ranking_picture(test, names, (test["label"] > 0).to_numpy(dtype=float)))
    draw(EQUITY, 3, run_figures.equity_picture(pd.read_csv(EQUITY_TABLE)), stacked=True)
    draw(COVERAGE, 2, run_figures.coverage_picture(read_parquet(CONFORMAL), level, binary), stacked=True)
    draw(BY_YEAR, 1, run_figures.by_year_picture(pd.read_csv(BY_YEAR_TABLE)))
    print(f"draw: {', '.join(str(path) for path in (RELIABILITY, RANKING, EQUITY, COVERAGE, BY_YEAR))}")


if __name__ == "__main__":
    run(main)
