"""Rows that models are judged by, and what stages predict of them: each row once, none left out (SPEC 12.11)."""

import pandas as pd

from finscale.data.folds import StoredFold
from finscale.data.splits import UNSEEN
from finscale.errors import InputError

EVALUATED: tuple[str, ...] = ("validation", "calibration", "test", UNSEEN)
ROW = ["date", "asset", "split"]  # what names a row of a fold


def evaluated_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of `rows` (ROW and more) that models are judged by: split after split, each by asset and day."""
    ordered = rows.sort_values(["asset", "date"])
    return pd.concat([ordered[ordered["split"] == split] for split in EVALUATED], ignore_index=True)


def of_fold(tables: list[pd.DataFrame], fold: StoredFold) -> pd.DataFrame:
    """Predictions of one fold as stages hand them on: all its tables, and `fold` where there are several folds."""
    made = pd.concat(tables, ignore_index=True)
    return made.assign(fold=fold.name) if fold.count > 1 else made


def attach(rows: pd.DataFrame, predicted: pd.DataFrame, fold: StoredFold, stage: str) -> pd.DataFrame:
    """The rows with the columns that a stage predicted for them, in the rows' order.

    rows: ROW and more, of one fold and of the splits that are wanted. predicted: ROW and predictions of those splits
    or more, and `fold` where there are several. Raises InputError where a row has no prediction or two, and where a
    prediction of those splits has no row.
    """
    own = predicted[predicted["fold"] == fold.name].drop(columns="fold") if "fold" in predicted else predicted
    own = own[own["split"].isin(rows["split"].unique())]
    wanted, found = pd.MultiIndex.from_frame(rows[ROW]), pd.MultiIndex.from_frame(own[ROW])
    faults = {
        "without a prediction": wanted[~wanted.isin(found)],
        "predicted and not in the data set": found[~found.isin(wanted)],
        "predicted twice": found[found.duplicated()],
        "with an empty prediction": found[own.isna().any(axis=1)],
    }
    if told := [f"{len(which)} rows {what}{_first(which)}" for what, which in faults.items() if len(which)]:
        raise InputError(
            f"{fold.prefix}what stage `{stage}` predicted is not of the rows of this data set: {'; '.join(told)}; make "
            f"it again with `dvc repro --force --single-item {stage}`"
        )
    return rows.merge(own, on=ROW, how="left", validate="one_to_one")


def _first(which: pd.MultiIndex) -> str:
    date, asset, split = which[0]
    return f" (the first {split} {date:%Y-%m-%d} {asset})"
