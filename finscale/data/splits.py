"""Train, validation, calibration and test by date, purged: no label of one split uses a price of the next.

The validation period is divided in time: its first part chooses the model (early stopping), its second part
calibrates what was chosen. A probability calibrated on the rows that chose the model is too sure of itself.
A fold is one such division: a single split is one fold, walk-forward (finscale.data.walk_forward) makes several.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from finscale.data.config import SplitDates

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "calibration", "test")
UNSEEN = "unseen"  # of the test's days, of a symbol that never trains: the second test
UNUSED = "none"  # no label, purged, or outside every split: such a row serves as context only


@dataclass(frozen=True)
class Period:
    """The days of one split, both ends included; no label of it may exit after `last_exit`."""

    first: pd.Timestamp
    last: pd.Timestamp
    last_exit: pd.Timestamp


@dataclass(frozen=True)
class Fold:
    """One division of the days: a period per split, in the order of SPLITS, none before the end of the one before."""

    name: str
    periods: Mapping[Split, Period]


def single_fold(ends: SplitDates) -> Fold:
    """The only fold of a single split; it begins and, without a test_end, ends with the data."""
    periods: dict[Split, Period] = {}
    first = pd.Timestamp.min
    last_days = (ends.train_end, ends.selection_end, ends.validation_end, ends.test_end)
    for split, end in zip(SPLITS, last_days, strict=True):
        last = pd.Timestamp(end) if end else pd.Timestamp.max
        periods[split] = Period(first, last, last_exit=last)
        if end:
            first = last + pd.Timedelta(days=1)
    return Fold("single", periods)


def assign_splits(dates: pd.Series, exits: pd.Series, fold: Fold) -> np.ndarray:
    """The split of each labelled day; UNUSED where its label's exit lies beyond what its split may know.

    dates, exits: one datetime per row; an exit of NaT (no label) is UNUSED.
    """
    result = np.full(len(dates), UNUSED, dtype=object)
    for split, period in fold.periods.items():
        inside = (dates >= period.first) & (dates <= period.last) & (exits <= period.last_exit)
        result[inside.to_numpy()] = split
    return result
