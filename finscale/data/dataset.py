"""The dataset: features and labels joined, split, purged and z-scored; test rows kept apart.

Rows are (asset, day), sorted; a row whose split is `none` has no label and serves as context. Each fold has three
files: development rows (train, validation and calibration), the features of the test rows, and their labels. Whatever
predicts may open test features and no test label, and what scores the predictions the other way round.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import Task, Timescale, is_binary
from finscale.data.config import DatasetConfig, SplitDates
from finscale.data.splits import SPLITS, UNSEEN, UNUSED, Fold, assign_splits, single_fold
from finscale.errors import InputError
from finscale.storage import read_parquet

KEYS = ("date", "asset", "split", "label", "exit", "last_known")
SCORED = ("date", "asset", "split", "label", "exit")  # what scoring a prediction takes

# The stages that may open test rows, by the name of the process's main module.
OPEN_TEST_FEATURES = ("stages.baselines", "stages.predict")
OPEN_TEST_LABELS = ("stages.evaluate",)


def assemble(
    features: pd.DataFrame, labels: pd.DataFrame, ends: SplitDates, context_reserve: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a single split, and their scaler: join, split_rows and normalise in one."""
    return normalise(split_rows(join(features, labels), single_fold(ends), context_reserve))


def join(features: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """One row per asset and day, sorted: date, asset, the features, label, exit, last_known.

    features: date, asset and one column per feature. labels: date, asset, label, exit, last_known.
    """
    rows = features.merge(labels, on=["date", "asset"], how="left", validate="one_to_one")
    return rows.sort_values(["asset", "date"], ignore_index=True)


def usable_days(joined: pd.DataFrame, context_reserve: int) -> pd.DatetimeIndex:
    """The days, ascending, on which some asset has a label and `context_reserve` rows of history."""
    usable = joined["exit"].notna() & (joined.groupby("asset").cumcount() >= context_reserve - 1)
    return pd.DatetimeIndex(joined.loc[usable, "date"].drop_duplicates().sort_values())


def split_rows(joined: pd.DataFrame, fold: Fold, context_reserve: int) -> pd.DataFrame:
    """The rows of one fold with their split, not yet normalised.

    Rows after the fold's last day are left out, and of those before its first day all but the context that they serve.
    """
    rows = joined[joined["date"] <= fold.periods["test"].last]
    begun = rows["date"] >= fold.periods["train"].first
    context = rows[~begun].groupby("asset").tail(context_reserve - 1)
    rows = pd.concat([context, rows[begun]]).sort_index().reset_index(drop=True)
    rows.insert(2, "split", assign_splits(rows["date"], rows["exit"], fold))
    rows.loc[rows.groupby("asset").cumcount() < context_reserve - 1, "split"] = UNUSED
    # A purged label was computed from the next split's prices: it must not be in this one's file.
    rows.loc[rows["split"] == UNUSED, "label"] = np.nan
    return rows


def normalise(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows (KEYS, then features z-scored, as float32), and the scaler: feature, mean, std of the train rows."""
    names = feature_names(rows)
    scaler = fit_scaler(rows.loc[rows["split"] == "train", names])
    scaled = (rows[names] - scaler["mean"].to_numpy()) / scaler["std"].to_numpy()
    return pd.concat([rows[list(KEYS)], scaled.astype("float32")], axis=1), scaler


def fit_scaler(train: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation per feature. Raises InputError without rows and where a feature is constant."""
    if train.empty:
        raise InputError(
            "dataset: the train split has no labelled row once features have warmed up and dataset.context_reserve is "
            "kept; use a longer series, a shorter timescale, a lower tier or later split dates"
        )
    scaler = pd.DataFrame(
        {"feature": train.columns, "mean": train.mean().to_numpy(), "std": train.std(ddof=0).to_numpy()}
    )
    constant = scaler.loc[~(scaler["std"] > 0), "feature"].tolist()
    if constant:
        raise InputError(f"dataset: constant or empty on the training rows: {', '.join(constant)}")
    return scaler


def feature_names(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.columns if name not in KEYS]


def describe(rows: pd.DataFrame, task: Task) -> dict[str, dict[str, Any]]:
    """Per split: rows, symbols, first and last day, and for binary tasks the positives and their rate."""
    summary: dict[str, dict[str, Any]] = {}
    for split in (*SPLITS, *([UNSEEN] if (rows["split"] == UNSEEN).any() else [])):
        part = rows[rows["split"] == split]
        summary[split] = {"rows": len(part), "symbols": part["asset"].nunique()}
        if len(part):
            summary[split] |= {"first": f"{part['date'].min():%Y-%m-%d}", "last": f"{part['date'].max():%Y-%m-%d}"}
        if is_binary(task):
            positives = int(part["label"].sum())
            summary[split] |= {"positives": positives, "rate": round(positives / max(len(part), 1), 6)}
    return summary


def check_splits(
    summary: dict[str, dict[str, Any]], task: Task, timescale: Timescale, config: DatasetConfig, fold: str = ""
) -> None:
    """Raise InputError where a split is too small to learn from or to measure on (SPEC 12.2).

    summary: what `describe` returns, or a part of it. fold: whose splits they are, where there are several folds.
    """
    key, fewest = config.min_rows.of(timescale)
    of_fold = f" of fold {fold}" if fold else ""
    remedy = "lengthen its years (evaluation.walk_forward)" if fold else "move the split dates in params.yaml"
    for split, counts in summary.items():
        rows = counts["rows"]
        if rows < fewest:
            raise InputError(
                f"dataset: the {split} split{of_fold} has {rows} rows, fewer than {key} = {fewest}; {remedy} or use a "
                "longer series"
            )
        if not is_binary(task):
            continue
        for name, count in (("positives", counts["positives"]), ("negatives", rows - counts["positives"])):
            if count < config.min_positives:
                raise InputError(
                    f"dataset: the {split} split{of_fold} has {count} {name} for task {task}, fewer than "
                    f"dataset.min_positives = {config.min_positives}; choose a lower threshold or a longer split"
                )


def divide(rows: pd.DataFrame, last_development_day: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows as three tables: development, the features of the later rows, and the labels of the test rows.

    The features keep `exit`, a day of the calendar, and `last_known`, the newest label known at the day's close: a
    baseline predicts with both, and `feature_names` shows neither to a model. The labels are SCORED. Of an asset with
    rows in UNSEEN all rows are later ones: what never trains is not among the development rows, not even as context.
    """
    later = (rows["date"] > last_development_day) | rows["asset"].isin(rows.loc[rows["split"] == UNSEEN, "asset"])
    return (
        rows[~later],
        rows[later].drop(columns="label"),
        rows.loc[later & rows["split"].isin(("test", UNSEEN)), list(SCORED)],
    )


def read_development(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Train, validation and calibration rows (and the context rows among them). columns: `split` among them."""
    rows = read_parquet(path, columns)
    if rows["split"].isin(["test", UNSEEN]).any():
        raise InputError(f"{path} holds test rows; make it again with `dvc repro -f dataset`")
    return rows


def read_test_features(path: Path) -> pd.DataFrame:
    """Test rows without labels: for the stages that predict, so that nothing else can be fitted to those days."""
    _admit(OPEN_TEST_FEATURES, "test features")
    rows = read_parquet(path)
    if "label" in rows:
        raise InputError(f"{path} holds labels beside the test features; make it again with `dvc repro -f dataset`")
    return rows


def read_test_labels(path: Path) -> pd.DataFrame:
    """The labels of the test rows (SCORED): for the stage `evaluate` alone, so that nothing can be chosen by them."""
    _admit(OPEN_TEST_LABELS, "test labels")
    return read_parquet(path)


def _admit(stages: Sequence[str], what: str) -> None:
    caller = getattr(sys.modules["__main__"].__spec__, "name", "an interactive session")
    if caller not in stages:
        raise PermissionError(f"only {' and '.join(stages)} may open {what}, not {caller}")
