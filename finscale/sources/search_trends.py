"""Google Trends through pytrends: weekly search interest, relative to its own maximum.

Google states each request's values relative to the largest in that request (100), weekly for up to five years. Longer
histories are requested in windows that share a year, and each is brought to the scale of the one before it
by the ratio of the sums in that year. Values are sampled: another day's answer differs a little.
"""

from datetime import date, timedelta
from functools import partial

import numpy as np
import pandas as pd
import requests

from finscale.errors import InputError
from finscale.sources.directory import SEARCH_TERM
from finscale.sources.retrying import TemporaryError, ask

_FIRST = date(2004, 1, 1)  # Google has no earlier data
_WINDOW = timedelta(days=5 * 365 - 7)
_SHARED = timedelta(days=365)
_AGREEMENT = 0.8  # correlation of two windows in the year they share, below which no ratio is honest
_NAME = f"Google Trends, '{SEARCH_TERM}'"


def fetch(first: date, last: date) -> pd.DataFrame:
    """Interest per week that ends by `last`: date (its first day), week_end, value (100 = the first window's maximum).

    Raises InputError where Google does not answer, or where two windows disagree about the year they share.
    """
    windows = [ask(_NAME, partial(_interest, *span)) for span in request_windows(max(first, _FIRST), last)]
    interest = join_windows(windows)
    frame = pd.DataFrame({"date": interest.index.astype("datetime64[ns]"), "value": interest.to_numpy(dtype=float)})
    frame.insert(1, "week_end", frame["date"] + pd.Timedelta(days=6))
    return frame[frame["week_end"] <= pd.Timestamp(last)].reset_index(drop=True)


def notes(frame: pd.DataFrame) -> list[str]:
    return [f"{_NAME}: sampled and scaled by Google on the day of retrieval"]


def request_windows(first: date, last: date) -> list[tuple[date, date]]:
    """Spans of at most five years that cover first..last, each sharing a year with the next."""
    spans = [(first, min(first + _WINDOW, last))]
    while spans[-1][1] < last:
        begin = spans[-1][1] - _SHARED
        spans.append((begin, min(begin + _WINDOW, last)))
    return spans


def join_windows(windows: list[pd.Series]) -> pd.Series:
    """Windows on one scale, that of the first. Raises InputError where an overlap supports no ratio."""
    joined = windows[0]
    for window in windows[1:]:
        shared = joined.index.intersection(window.index)
        old, new = joined[shared].to_numpy(dtype=float), window[shared].to_numpy(dtype=float)
        usable = len(shared) >= 26 and old.sum() > 0 and new.sum() > 0 and old.std() > 0 and new.std() > 0
        if not usable or np.corrcoef(old, new)[0, 1] < _AGREEMENT:
            raise InputError(
                f"{_NAME}: the windows before and after {window.index[0]:%Y-%m-%d} do not agree in the year they "
                "share and cannot be brought to one scale; ask for five years at most, or use quality a to c"
            )
        later = window[window.index > joined.index[-1]]
        joined = pd.concat([joined, later * (old.sum() / new.sum())])
    return joined


def _interest(first: date, last: date) -> pd.Series:
    from pytrends.exceptions import ResponseError
    from pytrends.request import TrendReq

    try:
        client = TrendReq(hl="en-US", tz=0, timeout=(10, 30))
        client.build_payload([SEARCH_TERM], timeframe=f"{first} {last}", geo="US")
        answer = client.interest_over_time()
    except (ResponseError, requests.RequestException) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None and status != 429 and status < 500:
            raise InputError(f"{_NAME}: HTTP {status}; nothing was stored") from None
        raise TemporaryError(f"{type(error).__name__}: {error}") from None
    if answer.empty or SEARCH_TERM not in answer:
        raise InputError(f"{_NAME}: no interest from {first} to {last} in the answer; nothing was stored")
    return answer.loc[~answer["isPartial"], SEARCH_TERM]
