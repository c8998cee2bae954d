"""dataset: features + labels -> data/processed/{development,test,test_labels}.parquet

Reads  data/interim/features.parquet, data/processed/labels.parquet
       of params.yaml `symbols`, `history` and `universe`, which rows of them are used
Writes data/processed/development.parquet  train, validation and calibration rows, z-scored features
       data/processed/test.parquet         features of the test rows, which only `predict` and `baselines` can open;
                                           of symbols that never train (universe.unseen) as split `unseen`
       data/processed/test_labels.parquet  their labels, which only `evaluate` can open
       data/processed/{development,test,test_labels}_folds/  the same of the folds after the first (evaluation.scheme
                                           walk_forward)
       data/processed/folds.csv            first and last day of each fold's splits
       data/processed/scaler.csv           feature, mean, std of the training rows
       data/processed/dataset.json         rows, symbols, days and positives per split
Why    one place joins, splits, purges and normalises, so that no later stage can do it otherwise.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Share, Source, Task, Timescale, load_params
from finscale.data.config import DatasetConfig, EvaluationConfig, UniverseConfig
from finscale.data.dataset import (
    KEYS,
    check_splits,
    describe,
    divide,
    feature_names,
    fit_scaler,
    join,
    normalise,
    split_rows,
    usable_days,
)
from finscale.data.folds import StoredFold, fold_table, read_folds, remove_others
from finscale.data.selection import apply, select, shortened
from finscale.data.splits import UNSEEN, Fold, single_fold
from finscale.data.walk_forward import walk_forward_folds
from finscale.storage import read_parquet, write_csv, write_json, write_parquet
from stages.paths import DEVELOPMENT, FEATURES, FOLDS, LABELS, TEST, TEST_LABELS

SCALER = Path("data/processed/scaler.csv")
METRICS = Path("data/processed/dataset.json")
MEASURED = ("test", UNSEEN)  # over all folds together


class Params(Block):
    source: Source
    symbols: Share
    history: Share
    timescale: Timescale
    task: Task
    universe: UniverseConfig
    dataset: DatasetConfig
    evaluation: EvaluationConfig


def plan(joined: pd.DataFrame, params: Params) -> list[Fold]:
    """The folds, oldest first; a single split is one."""
    if params.evaluation.scheme == "single":
        return [single_fold(params.dataset.split.of(params.source, params.timescale))]
    days = usable_days(joined, params.dataset.context_reserve)
    return walk_forward_folds(days, params.source, params.evaluation.walk_forward)


def rows_of(joined: pd.DataFrame, fold: Fold, params: Params) -> pd.DataFrame:
    """The rows of one fold that the settings ask for, split and not yet normalised."""
    reserve = params.dataset.context_reserve
    chosen = select(joined, fold, params.universe, params.symbols, reserve)
    return apply(split_rows(joined, shortened(fold, params.history), reserve), chosen, reserve)


def check(joined: pd.DataFrame, folds: list[Fold], params: Params) -> dict[str, dict[str, Any]]:
    """Rows, days and positives per split over all folds, once every fold is known to be fit for use.

    What trains, chooses and calibrates must be large enough in each fold; what is measured, over all of them.
    """
    keys, config = [], params.dataset
    for fold in folds:
        rows = rows_of(joined, fold, params)
        fit_scaler(rows.loc[rows["split"] == "train", feature_names(rows)])
        counts = describe(rows, params.task)
        for split in MEASURED:
            counts.pop(split, None)
        check_splits(counts, params.task, params.timescale, config, fold.name if len(folds) > 1 else "")
        keys.append(rows[list(KEYS)])
    summary = describe(pd.concat(keys), params.task)
    measured = {split: summary[split] for split in MEASURED if split in summary}
    check_splits(measured, params.task, params.timescale, config)
    return summary


def write_fold(rows: pd.DataFrame, fold: Fold, stored: StoredFold) -> pd.DataFrame:
    """Write the development rows, the test features and the test labels of one fold; returns its scaler."""
    rows, scaler = normalise(rows)
    tables = divide(rows, fold.periods["calibration"].last)
    for path, table in zip((DEVELOPMENT, TEST, TEST_LABELS), tables, strict=True):
        write_parquet(stored.of(path), table)
    return scaler if stored.count == 1 else scaler.assign(fold=stored.name)


def main() -> None:
    params = load_params(Params)
    joined = join(read_parquet(FEATURES), read_parquet(LABELS))
    folds = plan(joined, params)
    summary = check(joined, folds, params)
    write_csv(FOLDS, fold_table([shortened(fold, params.history) for fold in folds]))
    stored = read_folds(FOLDS)
    scalers = [write_fold(rows_of(joined, fold, params), fold, at) for fold, at in zip(folds, stored, strict=True)]
    for path in (DEVELOPMENT, TEST, TEST_LABELS):
        remove_others(path, stored)
    write_csv(SCALER, pd.concat(scalers))
    write_json(METRICS, summary)
    of_folds = f"{len(folds)} folds, together " if len(folds) > 1 else ""
    print(f"dataset: {of_folds}" + ", ".join(f"{split} {counts['rows']} rows" for split, counts in summary.items()))


if __name__ == "__main__":
    run(main)
