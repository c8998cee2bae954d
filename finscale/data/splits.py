"""Train, validation, calibration and test by date, purged: no label of one split uses a price of the next.

The validation period is divided in time: its first part chooses the model (early stopping), its second part
calibrates what was chosen. A probability calibrated on the rows that chose the model is too sure of itself.
A fold is one such division: a single split is one fold, walk-forward (finscale.data.walk_forward) makes several.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import model_validator

from finscale.config import Block, Source, Timescale

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "calibration", "test")
UNUSED = "none"  # no label, purged, or outside every split: such a row serves as context only


class SplitDates(Block):
    """The last day of each period, included, and the first day of calibration.

    test_end null: the test split ends with the data. calibration_start null: calibration takes the second half of the
    validation period.
    """

    train_end: date
    calibration_start: date | None = None
    validation_end: date
    test_end: date | None = None

    @model_validator(mode="after")
    def _ascending(self) -> "SplitDates":
        ends = [self.train_end, self.selection_end, self.validation_end, *([self.test_end] if self.test_end else [])]
        if any(a >= b for a, b in pairwise(ends)):
            raise ValueError("train_end, calibration_start, validation_end and test_end must follow each other")
        return self

    @property
    def selection_end(self) -> date:
        """The last day that chooses the model."""
        if self.calibration_start:
            return self.calibration_start - timedelta(days=1)
        return self.train_end + (self.validation_end - self.train_end) // 2


LONG_BARS: tuple[Timescale, ...] = ("3d", "5d", "weekly", "2week", "monthly")  # a year has fewer than 100 of them


class SourceDates(Block):
    bundled: SplitDates
    live: SplitDates

    def dates_of(self, source: Source) -> SplitDates:
        """The bundled series end in 2018 and have dates of their own; all others use those of live data."""
        return self.bundled if source == "bundled" else self.live


class SplitConfig(SourceDates):
    """long: the dates of LONG_BARS, whose validation and calibration take more years to hold as many rows."""

    long: SourceDates

    def of(self, source: Source, timescale: Timescale) -> SplitDates:
        return (self.long if timescale in LONG_BARS else self).dates_of(source)


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
