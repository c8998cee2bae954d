"""dataset: features + labels -> data/processed/{development,test}.parquet

Reads  data/interim/features.parquet, data/processed/labels.parquet
Writes data/processed/development.parquet  train, validation and calibration rows, z-scored features
       data/processed/test.parquet         test rows, which only `evaluate` can open
       data/processed/scaler.csv           feature, mean, std of the training rows
       metrics/dataset.json                rows, days and positives per split
Why    one place joins, splits, purges and normalises, so that no later stage can do it otherwise.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Source, Task, load_params
from finscale.dataset import DatasetConfig, assemble, check_splits, describe
from finscale.storage import read_parquet, write_csv, write_json, write_parquet

FEATURES = Path("data/interim/features.parquet")
LABELS = Path("data/processed/labels.parquet")
DEVELOPMENT = Path("data/processed/development.parquet")
TEST = Path("data/processed/test.parquet")
SCALER = Path("data/processed/scaler.csv")
METRICS = Path("metrics/dataset.json")


class Params(Block):
    source: Source
    task: Task
    dataset: DatasetConfig


def main() -> None:
    params = load_params(Params)
    ends = params.dataset.split.of(params.source)
    rows, scaler = assemble(read_parquet(FEATURES), read_parquet(LABELS), ends, params.dataset.context_reserve)
    summary = describe(rows, params.task)
    check_splits(summary, params.task, params.dataset)
    in_development = rows["date"] <= pd.Timestamp(ends.validation_end)
    write_parquet(DEVELOPMENT, rows[in_development])
    write_parquet(TEST, rows[~in_development])
    write_csv(SCALER, scaler)
    write_json(METRICS, summary)
    print("dataset: " + ", ".join(f"{split} {counts['rows']} rows" for split, counts in summary.items()))


if __name__ == "__main__":
    run(main)
