"""What a data set is made of: the symbols and series of a universe, and the series of each quality tier (SPEC 2)."""

from dataclasses import dataclass
from typing import Literal, get_args

from finscale.config import Block, Quality

Kind = Literal["prices", "volatility", "economic", "sentiment", "trends"]

PRICE_COLUMNS = ("date", "open", "high", "low", "close", "adj_close", "volume")
VOLATILITY_COLUMNS = ("date", "open", "high", "low", "close")
VALUE_COLUMNS = ("date", "value")
TREND_COLUMNS = ("date", "week_end", "value")  # date: the week's first day

COLUMNS: dict[Kind, tuple[str, ...]] = {
    "prices": PRICE_COLUMNS,
    "volatility": VOLATILITY_COLUMNS,
    "economic": VALUE_COLUMNS,
    "sentiment": VALUE_COLUMNS,
    "trends": TREND_COLUMNS,
}


# Who is asked for a kind by source `live`, as the raw store names its folders.
SERVERS: dict[Kind, str] = {
    "prices": "yahoo", "volatility": "yahoo", "economic": "fred", "sentiment": "frbsf", "trends": "google",
}  # fmt: skip
RE_ESTIMATED: tuple[Kind, ...] = ("sentiment", "trends")  # by their publisher, as a whole: answers cannot be joined


@dataclass(frozen=True)
class Wanted:
    """One series of a data set: its name in data/raw and what it is."""

    name: str
    kind: Kind


BUNDLED = ("SP500", "NASDAQ")  # what source bundled holds

# Those whose day of publication is known (finscale/data/series.py).
Economic = Literal["DGS2", "DGS10", "DFF", "USD3MTD156N", "SOFR"]


class Universe(Block):
    """What an experiment is about: the assets, and the interest rates that are features of each."""

    symbols: tuple[str, ...]
    series: tuple[Economic, ...] = ()


_ADDED_QUALITY: dict[Quality, tuple[Wanted, ...]] = {
    "a": (),
    "b": (Wanted("sentiment", "sentiment"),),
    "c": (Wanted("VIX", "volatility"),),
    "d": (Wanted("search_interest", "trends"),),
}


def wanted(universe: Universe, quality: Quality) -> list[Wanted]:
    """Every series that a data set such as Ed needs, and no more."""
    grades = get_args(Quality)
    series = [Wanted(symbol, "prices") for symbol in universe.symbols]
    series += [Wanted(name, "economic") for name in universe.series]
    return series + [extra for grade in grades[: grades.index(quality) + 1] for extra in _ADDED_QUALITY[grade]]
