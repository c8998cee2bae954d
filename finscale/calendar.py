"""The exchange's calendar: on which days it traded, and which week a day belongs to."""

from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

_FIRST_SESSION = "1960-01-01"


@cache
def exchange() -> "ExchangeCalendar":
    """The New York Stock Exchange's calendar (XNYS)."""
    import exchange_calendars  # most stages only ask which week a day is of

    return exchange_calendars.get_calendar("XNYS", start=_FIRST_SESSION)


def sessions(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """All trading days from `first` to `last`, both included."""
    return pd.DatetimeIndex(exchange().sessions_in_range(first, last), freq=None)


def week_end(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The Friday of each date's trading week (a Saturday or Sunday belongs to the week before)."""
    return dates - pd.to_timedelta(dates.weekday - 4, unit="D")
