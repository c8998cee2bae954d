"""What a raw series must satisfy: a table of rules. Errors stop the run, warnings are listed.

Known dirt in real files is a rule with a reason, not an exception in the code.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd

from finscale.calendar import sessions
from finscale.sources.tables import COLUMNS, Kind

PRICES = ["open", "high", "low", "close", "adj_close"]
_TOLERANCE = 1e-6  # of the price: published bars are rounded
_OUTLIER = 0.35  # absolute log return of a day
_STALE_DAYS = 5  # identical bars in a row
_SEAM = 1e-3  # of the adjustment factor: smaller steps are rounding
_FLAT_VIX_UNTIL = pd.Timestamp("2004-01-01")
_LONGEST_GAP = {"economic": 10, "sentiment": 10, "trends": 7}  # days without a value

# A rule looks at a frame and returns what is wrong with it: dates, or words.
Check = Callable[[pd.DataFrame], list[str]]
ALL: tuple[Kind, ...] = get_args(Kind)
BARS: tuple[Kind, ...] = ("prices", "volatility")
VALUES: tuple[Kind, ...] = ("economic", "sentiment", "trends")


@dataclass(frozen=True)
class Rule:
    name: str
    severity: Literal["error", "warning"]
    check: Check
    remedy: str
    kinds: tuple[Kind, ...] = field(default=ALL)


@dataclass(frozen=True)
class Finding:
    series: str
    rule: Rule
    where: list[str]

    def __str__(self) -> str:
        shown = ", ".join(self.where[:5]) + (f" and {len(self.where) - 5} more" if len(self.where) > 5 else "")
        return f"{self.series}: {self.rule.name} ({shown}); {self.rule.remedy}"


def _dates(frame: pd.DataFrame, mask: pd.Series) -> list[str]:
    return [f"{date:%Y-%m-%d}" for date in frame.loc[mask, "date"]]


def _not_numbers(frame: pd.DataFrame) -> list[str]:
    values = frame.columns.difference(["date", "week_end", "vintage"])
    return [str(name) for name in values if not pd.api.types.is_numeric_dtype(frame[name])]


def _empty_columns(frame: pd.DataFrame) -> list[str]:
    return [str(column) for column in frame.columns if frame[column].isna().all()]


def _no_date(frame: pd.DataFrame) -> list[str]:
    return [f"row {row}" for row in frame.index[frame["date"].isna()]]


def _missing_sessions(frame: pd.DataFrame) -> list[str]:
    return [f"{date:%Y-%m-%d}" for date in _expected(frame).difference(frame["date"])]


def _extra_dates(frame: pd.DataFrame) -> list[str]:
    return _dates(frame, ~frame["date"].isin(_expected(frame)))


def _expected(frame: pd.DataFrame) -> pd.DatetimeIndex:
    return sessions(frame["date"].min().normalize(), frame["date"].max().normalize())


def _outside_range(frame: pd.DataFrame) -> list[str]:
    slack = frame["close"] * _TOLERANCE
    above = frame[["open", "close"]].max(axis=1) > frame["high"] + slack
    below = frame[["open", "close"]].min(axis=1) < frame["low"] - slack
    return _dates(frame, above | below)


def _stale_bars(frame: pd.DataFrame) -> list[str]:
    same = frame[["open", "high", "low", "close"]].diff().abs().sum(axis=1) == 0
    run = same.groupby((~same).cumsum()).cumsum()
    return _dates(frame, run == _STALE_DAYS - 1)


def _outliers(frame: pd.DataFrame) -> list[str]:
    close = frame["adj_close"] if "adj_close" in frame else frame["close"]
    return _dates(frame, np.log(close).diff().abs() > _OUTLIER)


def _seams(frame: pd.DataFrame) -> list[str]:
    """Days on which a split or dividend changes the factor, and the raw close jumps by something else."""
    factor = np.log(frame["adj_close"] / frame["close"]).diff()
    adjusted = np.log(frame["adj_close"]).diff()
    return _dates(frame, (factor.abs() > np.log(1.4)) & (adjusted.abs() > _OUTLIER))


def _falling_factor(frame: pd.DataFrame) -> list[str]:
    factor = frame["adj_close"] / frame["close"]
    return _dates(frame, factor.diff() < -_SEAM * factor)


def _open_is_previous_close(frame: pd.DataFrame) -> list[str]:
    same = frame["open"] == frame["close"].shift()
    share = same.groupby(frame["date"].dt.year).mean()
    return [f"{year}" for year in share.index[share > 0.5]]


def _flat_vix(frame: pd.DataFrame) -> list[str]:
    return _dates(frame, (frame["high"] == frame["low"]) & (frame["date"] >= _FLAT_VIX_UNTIL))


def _gaps(kind: Kind) -> Check:
    longest = pd.Timedelta(days=_LONGEST_GAP[kind])

    def check(frame: pd.DataFrame) -> list[str]:
        known = frame.dropna(subset=["value"])
        return _dates(known, known["date"].diff() > longest)

    return check


def _overlapping_weeks(frame: pd.DataFrame) -> list[str]:
    return _dates(frame, frame["week_end"] - frame["date"] != pd.Timedelta(days=6))


# Order matters: a rule may rely on those before it (columns hold numbers, dates exist).
RULES = (
    Rule("column does not hold numbers", "error", _not_numbers, "correct the column"),
    Rule("column has no values at all", "error", _empty_columns, "download it again or leave the series out"),
    Rule("no date", "error", _no_date, "complete the row"),
    Rule("duplicate date", "error", lambda f: _dates(f, f["date"].duplicated()), "keep one row per day"),
    Rule("dates not in order", "error", lambda f: _dates(f, f["date"].diff() < pd.Timedelta(0)),
         "sort the file by date"),
    Rule("time of day in a date", "error", lambda f: _dates(f, f["date"] != f["date"].dt.normalize()),
         "use plain dates"),
    Rule("missing session", "error", _missing_sessions, "complete the file: labels count sessions", ("prices",)),
    Rule("date is no NYSE session", "error", _extra_dates, "remove the row", ("prices",)),
    Rule("missing price or volume", "error", lambda f: _dates(f, f.isna().any(axis=1)), "complete the row", BARS),
    Rule("price not above zero", "error", lambda f: _dates(f, (f[[c for c in PRICES if c in f]] <= 0).any(axis=1)),
         "correct the row", BARS),
    Rule("negative volume", "error", lambda f: _dates(f, f["volume"] < 0), "correct the row", ("prices",)),
    Rule("high below low", "error", lambda f: _dates(f, f["high"] < f["low"]), "correct the row", BARS),
    Rule("split seam", "error", _seams, "prices and adjusted prices are of different downloads: take both anew",
         ("prices",)),
    Rule("gap of more than ten days", "error", _gaps("economic"), "complete the series", ("economic", "sentiment")),
    Rule("gap of more than a week", "error", _gaps("trends"), "complete the series", ("trends",)),
    Rule("week is not seven days", "error", _overlapping_weeks, "give each week's first and last day", ("trends",)),
    Rule("open or close outside low to high", "warning", _outside_range,
         "check the row against another source; only VIX's close is used", BARS),
    Rule("session without a value", "warning", _missing_sessions, "the value before it stays in use", ("volatility",)),
    Rule("value on a day that is no NYSE session", "warning", _extra_dates,
         "Cboe quotes on some holidays: used from the next session", ("volatility",)),
    Rule("zero volume", "warning", lambda f: _dates(f, f["volume"] == 0), "volume indicators are flat on these days",
         ("prices",)),
    Rule(f"{_STALE_DAYS} identical bars in a row", "warning", _stale_bars, "check for a stalled feed", BARS),
    Rule(f"close moves more than {_OUTLIER:.0%} in a day (log)", "warning", _outliers,
         "real for single stocks in crises; check against another source", ("prices",)),
    Rule("adjustment factor falls", "warning", _falling_factor, "dividends and splits only ever raise it", ("prices",)),
    Rule("open equals the previous close on most days of a year", "warning", _open_is_previous_close,
         "index providers had no opening prices in early years: gaps and open-based features are empty there",
         ("prices",)),
    Rule("flat bar", "warning", _flat_vix,
         "VIX has no highs and lows before 2004, when Cboe back-calculated closes; later it should", ("volatility",)),
)  # fmt: skip


def validate(series: str, kind: Kind, frame: pd.DataFrame) -> list[Finding]:
    """Apply every rule of its kind to one raw series (sources.tables.COLUMNS); an empty list means clean."""
    if absent := [name for name in COLUMNS[kind] if name not in frame]:
        schema = Rule("column absent", "error", lambda _: absent, f"{kind} need {', '.join(COLUMNS[kind])}")
        return [Finding(series, schema, absent)]
    found: list[Finding] = []
    for rule in (rule for rule in RULES if kind in rule.kinds):
        if where := rule.check(frame):
            found.append(Finding(series, rule, where))
            if rule.check in (_not_numbers, _no_date):
                break  # the rules after these rely on them
    return found
