"""The typed arguments of labels, splits and folds. Whoever only checks settings loads no pandas with them."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from finscale.config import Block, Source, Timescale

LONG_BARS: tuple[Timescale, ...] = ("3d", "5d", "weekly", "2week", "monthly")  # a year has fewer than 100 of them

Scheme = Literal["single", "walk_forward"]


class LabelConfig(Block):
    price: Literal["close", "high"] = "close"


class UniverseConfig(Block):
    """Which symbols of the universe train (finscale/data/selection.py).

    draw: seed of their order. unseen: the share of them that never trains, a second test. holes: the sessions that a
    series of prices may lack between its first and its last.
    """

    draw: NonNegativeInt = 0
    unseen: Annotated[float, Field(ge=0, lt=1)] = 0.0
    holes: NonNegativeInt = 5


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


class MinRows(Block):
    """The fewest rows of a split. A year of long bars has too few: their dates give a split several (SplitConfig)."""

    daily: PositiveInt
    long: PositiveInt

    def of(self, timescale: Timescale) -> tuple[str, int]:
        """The key in params.yaml, and the number."""
        key = "long" if timescale in LONG_BARS else "daily"
        return f"dataset.min_rows.{key}", getattr(self, key)


class DatasetConfig(Block):
    context_reserve: PositiveInt
    min_rows: MinRows
    min_positives: PositiveInt
    split: SplitConfig


class FirstTest(Block):
    """The first test year. A setting, not found from the data: else each feature tier would be tested on other days."""

    bundled: PositiveInt
    live: PositiveInt

    def of(self, source: Source) -> int:
        return self.bundled if source == "bundled" else self.live


class WalkForwardConfig(Block):
    """Lengths of a fold's periods in years. Test periods follow each other: test_years is also the step."""

    window: Literal["rolling", "expanding"]
    train_years: PositiveInt
    validation_years: PositiveInt
    calibration_years: PositiveInt
    test_years: PositiveInt
    embargo: NonNegativeInt
    first_test: FirstTest

    @property
    def years_before_test(self) -> int:
        return self.train_years + self.validation_years + self.calibration_years


class EvaluationConfig(Block):
    scheme: Scheme
    walk_forward: WalkForwardConfig

    def identity(self, source: Source) -> str:
        """One word for the days that a run is trained and tested on: runs of another one belong to another curve.

        'single', or such as 'rolling-10+1+1+1y-embargo5-from2013' (train, validation, calibration and test years).
        """
        if self.scheme == "single":
            return "single"
        config = self.walk_forward
        years = (config.train_years, config.validation_years, config.calibration_years, config.test_years)
        lengths = "+".join(map(str, years))
        return f"{config.window}-{lengths}y-embargo{config.embargo}-from{config.first_test.of(source)}"
