"""What a raw daily series must satisfy: a table of rules. Errors stop the run, warnings are listed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from finscale.bars import sessions

PRICES = ["open", "high", "low", "close", "adj_close"]
_TOLERANCE = 1e-6  # of the price: published bars are rounded

# A rule looks at a frame and returns what is wrong with it: dates, or words.
Check = Callable[[pd.DataFrame], list[str]]


@dataclass(frozen=True)
class Rule:
    name: str
    severity: Literal["error", "warning"]
    check: Check
    remedy: str


@dataclass(frozen=True)
class Finding:
    symbol: str
    rule: Rule
    where: list[str]

    def __str__(self) -> str:
        shown = ", ".join(self.where[:5]) + (f" and {len(self.where) - 5} more" if len(self.where) > 5 else "")
        return f"{self.symbol}: {self.rule.name} ({shown}); {self.rule.remedy}"


def _dates(frame: pd.DataFrame, mask: pd.Series) -> list[str]:
    return [f"{date:%Y-%m-%d}" for date in frame.loc[mask, "date"]]


def _empty_columns(frame: pd.DataFrame) -> list[str]:
    return [str(column) for column in frame.columns if frame[column].isna().all()]


def _missing_sessions(frame: pd.DataFrame) -> list[str]:
    expected = sessions(frame["date"].min().normalize(), frame["date"].max().normalize())
    return [f"{date:%Y-%m-%d}" for date in expected.difference(frame["date"])]


def _extra_dates(frame: pd.DataFrame) -> list[str]:
    expected = sessions(frame["date"].min().normalize(), frame["date"].max().normalize())
    return _dates(frame, ~frame["date"].isin(expected))


def _outside_range(frame: pd.DataFrame) -> list[str]:
    slack = frame["close"] * _TOLERANCE
    above = frame[["open", "close"]].max(axis=1) > frame["high"] + slack
    below = frame[["open", "close"]].min(axis=1) < frame["low"] - slack
    return _dates(frame, above | below)


# Order matters: a rule may rely on those before it (dates exist, prices are numbers).
RULES = (
    Rule("column has no values at all", "error", _empty_columns, "download it again or leave the series out"),
    Rule("duplicate date", "error", lambda f: _dates(f, f["date"].duplicated()), "keep one row per session"),
    Rule(
        "dates not in order", "error", lambda f: _dates(f, f["date"].diff() < pd.Timedelta(0)), "sort the file by date"
    ),
    Rule(
        "time of day in a date", "error", lambda f: _dates(f, f["date"] != f["date"].dt.normalize()), "use plain dates"
    ),
    Rule("missing session", "error", _missing_sessions, "complete the file: labels count sessions"),
    Rule("date is no NYSE session", "error", _extra_dates, "remove the row"),
    Rule("missing price or volume", "error", lambda f: _dates(f, f.isna().any(axis=1)), "complete the row"),
    Rule("price not above zero", "error", lambda f: _dates(f, (f[PRICES] <= 0).any(axis=1)), "correct the row"),
    Rule("negative volume", "error", lambda f: _dates(f, f["volume"] < 0), "correct the row"),
    Rule("high below low", "error", lambda f: _dates(f, f["high"] < f["low"]), "correct the row"),
    Rule("open or close outside low to high", "warning", _outside_range, "check the row against another source"),
    Rule("zero volume", "warning", lambda f: _dates(f, f["volume"] == 0), "volume indicators are flat on these days"),
)


def validate(symbol: str, frame: pd.DataFrame) -> list[Finding]:
    """Apply every rule to one raw series (sources.RAW_COLUMNS); an empty list means clean."""
    found = ((rule, rule.check(frame)) for rule in RULES)
    return [Finding(symbol, rule, where) for rule, where in found if where]
