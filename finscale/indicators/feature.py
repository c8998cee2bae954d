"""What a feature is, and the table row that makes several of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Period = int | float | tuple[int | float, ...]
BarsKind = Literal["own", "daily", "weekly", "monthly"]


@dataclass(frozen=True)
class Feature:
    """One feature: a function of the bars, or of the features named in `inputs`."""

    name: str
    category: str
    description: str
    warm_up: int  # rows before the first value, counted in the bars that it is computed on
    function: Callable[..., np.ndarray]
    parameters: tuple[Any, ...] = ()
    inputs: tuple[str, ...] = ()
    bars: BarsKind = "own"  # own: the experiment's timescale


@dataclass(frozen=True)
class Row:
    """One line of the table: an indicator with the periods at which each tier adds it.

    name and description are templates filled with the periods; warm_up is a function of them.
    """

    name: str
    function: Callable[..., np.ndarray]
    description: str
    warm_up: Callable[..., int]
    tiers: Mapping[str, tuple[Period, ...]] = field(default_factory=dict)

    def features(self, tier: str, category: str) -> Iterator[Feature]:
        for periods in self.tiers.get(tier, ()):
            yield self.feature(periods, category)

    def feature(self, periods: Period, category: str) -> Feature:
        """The feature of some periods, which a tier of the table may have or not."""
        values = periods if isinstance(periods, tuple) else (periods,)
        return Feature(
            self.name.format(*values),
            category,
            self.description.format(*values),
            self.warm_up(*values),
            self.function,
            values,
        )


def row(
    name: str,
    function: Callable[..., np.ndarray],
    description: str,
    warm_up: Callable[..., int],
    **tiers: tuple[Period, ...],
) -> Row:
    """row("rsi_{}", momentum.rsi, "...", span, a50=(21, 50), a100=(7,)): a tier's periods by keyword."""
    return Row(name, function, description, warm_up, tiers)
