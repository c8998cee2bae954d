"""Train, validation and test by date, purged: no label of one split uses a price of the next."""

from datetime import date
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import model_validator

from finscale.config import Block, Source

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
UNUSED = "none"  # no label, purged, or outside every split: such a row serves as context only


class SplitDates(Block):
    """The last day of each split, included. test_end null: the test split ends with the data."""

    train_end: date
    validation_end: date
    test_end: date | None = None

    @model_validator(mode="after")
    def _ascending(self) -> "SplitDates":
        ends = [self.train_end, self.validation_end, *([self.test_end] if self.test_end else [])]
        if any(a >= b for a, b in pairwise(ends)):
            raise ValueError("train_end, validation_end and test_end must follow each other")
        return self


class SplitConfig(Block):
    bundled: SplitDates
    live: SplitDates

    def of(self, source: Source) -> SplitDates:
        """The bundled series end in 2018 and have dates of their own; all others use those of live data."""
        return self.bundled if source == "bundled" else self.live


def assign_splits(dates: pd.Series, exits: pd.Series, ends: SplitDates) -> np.ndarray:
    """The split of each labelled day; UNUSED where its label's exit lies beyond the split's end.

    dates, exits: one datetime per row; an exit of NaT (no label) is UNUSED.
    """
    result = np.full(len(dates), UNUSED, dtype=object)
    first = pd.Timestamp.min
    for split, end in zip(SPLITS, (ends.train_end, ends.validation_end, ends.test_end), strict=True):
        last = pd.Timestamp(end) if end else pd.Timestamp.max
        result[((dates > first) & (dates <= last) & (exits <= last)).to_numpy()] = split
        first = last
    return result
