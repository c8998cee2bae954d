"""baselines: development rows, test features, bars -> data/processed/baseline_predictions.parquet

Reads  data/processed/development.parquet  train rows, to fit to, and validation rows, to stop boosting
       data/processed/test.parquet         features of the test rows, without labels
       data/processed/{development,test}_folds/, data/processed/folds.csv  of the folds after the first
       data/interim/bars.parquet           closes, from which one of them forecasts volatility
Writes data/processed/baseline_predictions.parquet  date, asset, split and a column per baseline, on validation,
                                           calibration and test rows; all folds, told apart by `fold`
Why    what a model has to beat depends on the data alone: it is fitted once for all budgets and seeds.
"""

import pandas as pd
from threadpoolctl import threadpool_limits

from finscale.cli import run
from finscale.config import Block, Task, load_params
from finscale.data.dataset import read_development, read_test_features
from finscale.data.folds import StoredFold, read_folds
from finscale.evaluation.baselines import baseline_predictions
from finscale.evaluation.config import BaselinesConfig
from finscale.evaluation.rows import of_fold
from finscale.storage import read_parquet, write_parquet
from stages.paths import BARS, BASELINE_PREDICTIONS, DEVELOPMENT, FOLDS, TEST


class Params(Block):
    task: Task
    baselines: BaselinesConfig


def predict_fold(params: Params, bars: pd.DataFrame, fold: StoredFold) -> pd.DataFrame:
    rows = pd.concat([read_development(fold.of(DEVELOPMENT)), read_test_features(fold.of(TEST))])
    rows = rows.sort_values(["asset", "date"], ignore_index=True)
    # A rolling fold has forgotten what lies before its rows, the volatility baseline too.
    known = bars if fold.begins is None else bars[bars["date"] >= rows["date"].min()]
    return of_fold([baseline_predictions(rows, known, params.task, params.baselines)], fold)


def main() -> None:
    params, bars = load_params(Params), read_parquet(BARS)
    # One thread: sums in a fixed order, so that the last digits do not depend on the machine's number of cores.
    with threadpool_limits(limits=1):
        folds = [predict_fold(params, bars, fold) for fold in read_folds(FOLDS)]
    predictions = pd.concat(folds, ignore_index=True)
    write_parquet(BASELINE_PREDICTIONS, predictions)
    names = [name for name in predictions if name not in ("date", "asset", "split", "fold")]
    print(f"baselines: {', '.join(names)} on {len(predictions)} rows")


if __name__ == "__main__":
    run(main)
