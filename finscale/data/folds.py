"""Where the files of the folds lie. A single split is the list of one fold: every stage that handles folds loops.

The first fold's file lies at the path that the stage names, those of later folds in a folder beside it:

    data/processed/development.parquet             the first fold's
    data/processed/development_folds/2014.parquet  a later one's, named by its first test year

The first, because whatever is chosen on data/processed/development.parquet, such as hyper-parameters, has then seen
no test day of any fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from finscale.data.splits import SPLITS, Fold
from finscale.storage import read_csv


@dataclass(frozen=True)
class StoredFold:
    """One of the folds that the stage `dataset` has written."""

    name: str
    position: int  # 0 is the first
    count: int  # of all folds
    begins: pd.Timestamp | None  # first day that trains; None: training begins with the data

    def of(self, path: Path) -> Path:
        """This fold's file: `path` is that of the first."""
        return path if self.position == 0 else folder_of_later(path) / f"{self.name}{path.suffix}"

    @property
    def prefix(self) -> str:
        """Before a message about this fold: 'fold 2014: ', or nothing where it is the only one."""
        return f"fold {self.name}: " if self.count > 1 else ""


def folder_of_later(path: Path) -> Path:
    """The folder that holds the files of the folds after the first."""
    return path.with_name(f"{path.stem}_folds")


def fold_table(folds: Sequence[Fold]) -> pd.DataFrame:
    """One row per fold: its name and each split's first and last day; empty where a period ends with the data."""
    rows = []
    for fold in folds:
        days = {f"{split}_{end}": getattr(fold.periods[split], end) for split in SPLITS for end in ("first", "last")}
        rows.append({"fold": fold.name} | {name: _written(day) for name, day in days.items()})
    return pd.DataFrame(rows)


def read_folds(path: Path) -> list[StoredFold]:
    """The folds of `fold_table`'s CSV file, in order."""
    table = read_csv(path, text=["fold"], dates=["train_first"])
    begins = [None if pd.isna(day) else day for day in table["train_first"]]
    return [StoredFold(name, n, len(table), begins[n]) for n, name in enumerate(table["fold"])]


def remove_others(path: Path, folds: Sequence[StoredFold]) -> None:
    """Remove the files of folds that are no longer there. The folder stays: DVC warns of outputs that are empty."""
    folder = folder_of_later(path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README").write_text(
        "Files of the folds after the first; none where evaluation.scheme is single.\n", encoding="utf-8"
    )
    wanted = {fold.of(path) for fold in folds}
    for file in set(folder.glob(f"*{path.suffix}")) - wanted:
        file.unlink()


def _written(day: pd.Timestamp) -> str:
    return "" if day in (pd.Timestamp.min, pd.Timestamp.max) else f"{day:%Y-%m-%d}"
