"""What a raw series must satisfy: a table of rules. Errors stop the run, warnings are listed.

Known dirt in real files is a rule with a reason, not an exception in the code.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args

import numpy as np
import pandas as pd

from finscale.calendar import last_final_day, sessions
from finscale.sources.tables import COLUMNS, Kind

PRICES = ["open", "high", "low", "close", "adj_close"]
_TOLERANCE = 1e-6  # of the price: published bars are rounded
_OUTLIER = 0.35  # absolute log return of a day
_STALE_DAYS = 5  # identical bars in a row
_SEAM = 1e-3  # of the adjustment factor: smaller steps are rounding
_IMPOSSIBLE = 0.01  # share of days with open or close outside low to high: more is no rounding but another column
_SPLITS = np.log([2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50])  # log ratios; 3 for 2 also happens without a split
_AT_A_SPLIT = 0.03  # of the overnight log return, around the ratio
_ON_THE_DAY = 0.1  # of the log return from close to close, around it
_UNITS = np.log(3)  # a log return this large that is taken back is another unit, such as a week in cents
_TAKEN_BACK = 20  # sessions
_SPLIT_STEP = np.log(1.9)  # of the adjustment factor: no dividend is that large
_AROUND = 20  # sessions before and after a split, whose median volumes are compared
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
    acceptable: bool = False  # whether data.accepted can say of a day that it is real
    tolerable: bool = False  # whether universe.holes says how many there may be


@dataclass(frozen=True)
class Finding:
    series: str
    rule: Rule
    where: list[str]

    def __str__(self) -> str:
        shown = ", ".join(self.where[:5]) + (f" and {len(self.where) - 5} more" if len(self.where) > 5 else "")
        return f"{self.series}: {self.rule.name} ({shown}); {self.rule.remedy}"


def _dates(frame: pd.DataFrame, mask: pd.Series) -> list[str]:
    return [f"{date:%Y-%m-%d}" for date in frame.loc[mask, "date"]] if mask.any() else []


def _not_numbers(frame: pd.DataFrame) -> list[str]:
    values = frame.columns.difference(["date", "week_end", "vintage"])
    return [str(name) for name in values if not pd.api.types.is_numeric_dtype(frame[name])]


def _empty_columns(frame: pd.DataFrame) -> list[str]:
    return [str(column) for column in frame.columns if frame[column].isna().all()]


def _no_date(frame: pd.DataFrame) -> list[str]:
    return [f"row {row}" for row in frame.index[frame["date"].isna()]]


def _future(frame: pd.DataFrame) -> list[str]:
    return _dates(frame, frame["date"] > pd.Timestamp(last_final_day()))


def _infinite(frame: pd.DataFrame) -> list[str]:
    return _dates(frame, np.isinf(frame.select_dtypes("number")).any(axis=1))


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


def _often_outside_range(frame: pd.DataFrame) -> list[str]:
    outside = _outside_range(frame)
    return outside if len(outside) > _IMPOSSIBLE * len(frame) else []


def _stale_bars(frame: pd.DataFrame) -> list[str]:
    same = frame[["open", "high", "low", "close"]].diff().abs().sum(axis=1) == 0
    run = same.groupby((~same).cumsum()).cumsum()
    return _dates(frame, run >= _STALE_DAYS - 1)


def _outliers(frame: pd.DataFrame) -> list[str]:
    close = frame["adj_close"] if "adj_close" in frame else frame["close"]
    return _dates(frame, np.log(close).diff().abs() > _OUTLIER)


def _log(values: pd.Series) -> pd.Series:
    """NaN where there is no logarithm: other rules name these rows."""
    return np.log(values.where(values > 0))


def _unadjusted_splits(frame: pd.DataFrame) -> list[str]:
    """Days on which the adjusted price opens and closes at a split's ratio to the close before."""
    before = frame["adj_close"].shift()
    day = _log(frame["adj_close"] / before).abs()
    if not (day > _SPLITS.min() - 2 * _ON_THE_DAY).any():  # as of most series, which then need no comparing
        return []
    gap = _log(frame["open"] * frame["adj_close"] / frame["close"] / before).abs()
    at_a_split = [(gap - ratio).abs().lt(_AT_A_SPLIT) & (day - ratio).abs().lt(_ON_THE_DAY) for ratio in _SPLITS]
    return _dates(frame, np.logical_or.reduce(at_a_split))


def _other_units(frame: pd.DataFrame) -> list[str]:
    """Days on which the price moves by a large factor that is taken back within a month."""
    log_return = _log(frame["adj_close"]).diff()
    large = np.flatnonzero(log_return.abs() > _UNITS)
    moves = log_return.to_numpy()
    back = [i for i in large if (np.abs(moves[i + 1 : i + 1 + _TAKEN_BACK] + moves[i]) < _ON_THE_DAY).any()]
    return _dates(frame, pd.Series(frame.index.isin(frame.index[back]), frame.index))


def _volume_of_the_day(frame: pd.DataFrame) -> list[str]:
    """Splits that the adjustment factor knows and volume does not: it steps by the ratio, as the factor does."""
    step = _log(frame["adj_close"] / frame["close"]).diff()
    volume = _log(frame["volume"].astype(float))
    before = volume.rolling(_AROUND, min_periods=1).median().shift()
    moved = volume[::-1].rolling(_AROUND, min_periods=1).median()[::-1] - before
    return _dates(frame, (step.abs() > _SPLIT_STEP) & ((moved - step).abs() < moved.abs()))


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
    Rule("day that has not passed", "error", _future, "remove the rows; only closed sessions count"),
    Rule("number that is not finite", "error", _infinite, "correct the row"),
    Rule("time of day in a date", "error", lambda f: _dates(f, f["date"] != f["date"].dt.normalize()),
         "use plain dates"),
    Rule("missing session", "error", _missing_sessions, "complete the file, or allow for them: universe.holes",
         ("prices",), tolerable=True),
    Rule("hole", "warning", _missing_sessions, "no bar is invented, and no label counts from or to these sessions",
         ("prices",)),
    Rule("date is no NYSE session", "error", _extra_dates, "remove the row", ("prices",)),
    Rule("missing price or volume", "error", lambda f: _dates(f, f.isna().any(axis=1)), "complete the row", BARS),
    Rule("price not above zero", "error", lambda f: _dates(f, (f[[c for c in PRICES if c in f]] <= 0).any(axis=1)),
         "correct the row", BARS),
    Rule("negative volume", "error", lambda f: _dates(f, f["volume"] < 0), "correct the row", ("prices",)),
    Rule("high below low", "error", lambda f: _dates(f, f["high"] < f["low"]), "correct the row", BARS),
    Rule("split seam", "error", _seams, "prices and adjusted prices are of different downloads: take both anew",
         ("prices",)),
    Rule("open or close often outside low to high", "error", _often_outside_range,
         "a column is not what its name says: take all four prices from one source", ("prices",)),
    Rule("price moves by the ratio of a split", "error", _unadjusted_splits,
         "give adj_close, or adjusted prices; where the move is real, name it in params.yaml, data.accepted",
         ("prices",), acceptable=True),
    Rule("price in another unit", "error", _other_units,
         "it moves threefold or more and back: correct the rows, or name a real move in params.yaml, data.accepted",
         ("prices",), acceptable=True),
    Rule("volume in the shares of the day", "error", _volume_of_the_day,
         "unlike adj_close it is not adjusted for this split: give adj_volume, or prices adjusted for splits; where "
         "trading did change so, name the day in params.yaml, data.accepted", ("prices",), acceptable=True),
    Rule("gap of more than ten days", "error", _gaps("economic"), "complete the series", ("economic", "sentiment")),
    Rule("gap of more than a week", "error", _gaps("trends"), "complete the series", ("trends",)),
    Rule("week is not seven days", "error", _overlapping_weeks, "give each week's first and last day", ("trends",)),
    Rule("open or close outside low to high", "warning", _outside_range,
         "check the row against another source", BARS),
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


def validate(
    series: str, kind: Kind, frame: pd.DataFrame, accepted: Collection[date] = (), holes: int = 0
) -> list[Finding]:
    """Apply every rule of its kind to one raw series (sources.tables.COLUMNS); an empty list means clean.

    accepted: days of which the user says that what looks wrong is real. holes: sessions that prices may lack.
    """
    if absent := [name for name in COLUMNS[kind] if name not in frame]:
        schema = Rule("column absent", "error", lambda _: absent, f"{kind} need {', '.join(COLUMNS[kind])}")
        return [Finding(series, schema, absent)]
    found: list[Finding] = []
    for rule in (rule for rule in RULES if kind in rule.kinds):
        where = rule.check(frame)
        if rule.acceptable:
            where = [day for day in where if date.fromisoformat(day) not in accepted]
        if where and not (rule.tolerable and len(where) <= holes):
            found.append(Finding(series, rule, where))
            if rule.check in (_not_numbers, _no_date, _future, _infinite):
                break  # the rules after these rely on them
    return found
