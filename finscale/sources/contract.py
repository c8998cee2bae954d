"""What every provider's answer must be before it is stored: what was asked for, finite, unique, in order, to its end.

An answer is judged first and stored then: what is refused here leaves no trace, and is asked for anew the next time.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from finscale.calendar import sessions
from finscale.sources.client import Asked

_RECENT = 20  # sessions whose bars may still come
_AGAIN = "try later, or set data.end to an earlier day"


@dataclass(frozen=True)
class Promise:
    """The days that were asked for, and those that the provider itself says it has of them."""

    first: date
    last: date
    begins: date  # not before `first`
    ends: date  # not after `last`
    late: int = 0  # calendar days that the first row may come after `begins` ...
    early: int = 0  # ... and the last one before `ends`


def judge(asked: Asked, frame: pd.DataFrame, promise: Promise) -> None:
    """Raise InputError, naming provider, series, day and remedy, for an answer that breaks the contract.

    frame: date, then columns of numbers; NaN is a day that the provider lists without a value.
    """
    if frame.empty:
        raise asked.refused(f"no row from {promise.first} to {promise.last}", "change data.start and data.end")
    days = frame["date"]
    for fault, mask in {
        "a row without a date": days.isna(),
        "a day outside what was asked for": ~days.between(pd.Timestamp(promise.first), pd.Timestamp(promise.last)),
        "a day twice": days.duplicated(),
        "days that are not in order": days.diff() < pd.Timedelta(0),
        "a number that is not finite": np.isinf(frame.select_dtypes("number")).any(axis=1),
    }.items():
        if mask.any():
            raise asked.refused(f"the answer has {fault}: {_first(frame, mask)}", _AGAIN)
    begins, ends = days.iloc[0], days.iloc[-1]
    if begins > pd.Timestamp(promise.begins) + pd.Timedelta(days=promise.late):
        raise asked.refused(
            f"the answer begins on {begins:%Y-%m-%d}, after {promise.begins}",
            f"try later, or set data.start to {begins:%Y-%m-%d}",
        )
    if ends < pd.Timestamp(promise.ends) - pd.Timedelta(days=promise.early):
        raise asked.refused(f"the answer ends on {ends:%Y-%m-%d}, before {promise.ends}", _AGAIN)


def judge_sessions(asked: Asked, frame: pd.DataFrame, holes: int = 0) -> pd.DataFrame:
    """The rows that have values. holes: the sessions that a series may lack, none of them among the newest.

    Raises InputError where more sessions between the first and the last row are absent or without a value, or a row has
    some of its values.
    """
    expected = sessions(frame["date"].iloc[0], frame["date"].iloc[-1])
    absent = expected.difference(pd.DatetimeIndex(frame["date"]))
    lacking = frame.isna().any(axis=1)
    empty = pd.DatetimeIndex(frame.loc[lacking, "date"])
    in_part = lacking & ~frame.drop(columns=["date", "volume"]).isna().all(axis=1)  # yfinance calls an unknown volume 0
    recent = absent.union(empty).intersection(expected[-_RECENT:])
    if len(absent) + len(empty) <= holes and not in_part.any() and recent.empty:
        return frame[~lacking].reset_index(drop=True)
    for fault, found in (("lacks the session", absent), ("has no value for the session", empty)):
        if len(found):
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise asked.refused(f"the answer {fault} of {found[0]:%Y-%m-%d}{more}", _AGAIN)
    return frame


def _first(frame: pd.DataFrame, mask: pd.Series) -> str:
    row = frame[mask].iloc[0]
    return ", ".join(f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else f"{value}" for value in row)
