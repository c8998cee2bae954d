"""What a data set is made of: the series of each asset tier and quality tier (SPEC 2)."""

from dataclasses import dataclass
from typing import Literal, get_args

from finscale.config import AssetTier, Quality

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


_STOCKS = ("AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA")
_ADDED_ASSETS: dict[AssetTier, tuple[str, ...]] = {"A": ("SPY",), "B": ("DIA",), "C": ("QQQ",), "D": _STOCKS, "E": ()}

# Tier E. LIBOR ended; SOFR goes on from there (series.RATE_3M says how). ^TNX is left out: it is the yield
# of DGS10, quoted by another source.
ECONOMIC = ("DGS2", "DGS10", "DFF", "USD3MTD156N", "SOFR")

_ADDED_QUALITY: dict[Quality, tuple[Wanted, ...]] = {
    "a": (),
    "b": (Wanted("sentiment", "sentiment"),),
    "c": (Wanted("VIX", "volatility"),),
    "d": (Wanted("search_interest", "trends"),),
}


def symbols(assets: AssetTier) -> tuple[str, ...]:
    """The traded assets of a tier; each tier holds those before it."""
    tiers = get_args(AssetTier)
    return tuple(symbol for tier in tiers[: tiers.index(assets) + 1] for symbol in _ADDED_ASSETS[tier])


def wanted(assets: AssetTier, quality: Quality) -> list[Wanted]:
    """Every series that a data set such as Ed needs, and no more."""
    grades = get_args(Quality)
    series = [Wanted(symbol, "prices") for symbol in symbols(assets)]
    series += [Wanted(name, "economic") for name in ECONOMIC if assets == "E"]
    return series + [extra for grade in grades[: grades.index(quality) + 1] for extra in _ADDED_QUALITY[grade]]
