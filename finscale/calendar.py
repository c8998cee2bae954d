"""The exchange's calendar: on which days it traded, and which week a day belongs to."""

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

TIME_ZONE = "America/New_York"
_FIRST_SESSION = "1960-01-01"
_SETTLED = pd.Timedelta(hours=4)  # before midnight: four hours after the close, late prints and volumes are in


@cache
def exchange() -> "ExchangeCalendar":
    """The New York Stock Exchange's calendar (XNYS)."""
    import exchange_calendars  # most stages only ask which week a day is of

    return exchange_calendars.get_calendar("XNYS", start=_FIRST_SESSION)


def sessions(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """All trading days from `first` to `last`, both included."""
    return pd.DatetimeIndex(exchange().sessions_in_range(first, last), freq=None)


def last_final_day(now: pd.Timestamp | None = None) -> date:
    """The last day whose session, if any, is closed and settled, by the exchange's clock wherever this machine is.

    now: with a time zone; by default this moment.
    """
    exchange_time = (now or pd.Timestamp.now(TIME_ZONE)).tz_convert(TIME_ZONE).tz_localize(None)
    return (exchange_time + _SETTLED).date() - timedelta(days=1)


def week_end(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The Friday of each date's trading week (a Saturday or Sunday belongs to the week before)."""
    return dates - pd.to_timedelta(dates.weekday - 4, unit="D")
