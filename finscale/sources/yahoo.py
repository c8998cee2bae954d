"""Yahoo Finance through yfinance: daily bars as traded, and the adjusted close beside them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pandas as pd

from finscale.calendar import TIME_ZONE, last_final_day, sessions
from finscale.sources.client import Answer, Asked, TemporaryError, ask, told
from finscale.sources.contract import Promise, judge, judge_sessions
from finscale.sources.tables import PRICE_COLUMNS

_CHART = "/v8/finance/chart/"
_COLUMNS = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
_GAP = 4  # calendar days: the first trade of a listing may be a day or two before the first daily bar
_ENDED = timedelta(days=35)  # without a trade: the symbol has ended; a halt is shorter, and so is a fault of the server


def fetch(symbol: str, first: date, last: date, every_session: bool = True, holes: int = 0) -> pd.DataFrame:
    """Bars from `first` to `last`, both included: tables.PRICE_COLUMNS. Splits are in the prices, dividends only in
    adj_close. every_session: a session that is absent or empty is refused, unless there are no more than `holes`; else
    empty ones are left out. A symbol that is no longer traded ends with its last trade, as Yahoo dates it: bars that
    end before that are refused.

    Raises InputError where Yahoo knows no such symbol, does not answer, or answers something else than was asked for.
    """
    asked = Asked("Yahoo Finance", symbol)
    history, about = ask(asked, lambda: _history(asked, first, last))
    if absent := [name for name in _COLUMNS if name not in history]:
        raise asked.refused(f"the answer has no column {', '.join(absent)}", "a newer yfinance may know why")
    frame = history[_COLUMNS].set_axis(list(PRICE_COLUMNS[1:]), axis=1).reset_index(names="date")
    if not frame.empty:
        frame["date"] = frame["date"].dt.tz_localize(None).dt.normalize().astype("datetime64[ns]")
    if not every_session:
        frame = frame.dropna(subset=["close"]).reset_index(drop=True)
    elif ended := _ended(frame, _day(about, "regularMarketTime")):
        frame, last = frame[frame["date"] <= pd.Timestamp(ended)], max(first, min(ended, last))
    judge(asked, frame, _promise(first, last, _day(about, "firstTradeDate"), frame))
    return judge_sessions(asked, frame, holes) if every_session else frame


def _promise(first: date, last: date, listed: date | None, frame: pd.DataFrame) -> Promise:
    """A provider that does not say since when it has a symbol is believed; the last session is known to everyone."""
    begins = listed or (frame["date"].iloc[0].date() if len(frame) else first)
    wanted = sessions(pd.Timestamp(first), pd.Timestamp(last))
    return Promise(first, last, max(first, begins), wanted[-1].date() if len(wanted) else first, late=_GAP)


def _ended(frame: pd.DataFrame, traded: date | None) -> date | None:
    """The day of the last trade, where it is long ago and no later day has a price; None of a symbol that lives."""
    if frame.empty or traded is None or last_final_day() - traded < _ENDED:
        return None
    return None if frame.loc[frame["date"] > pd.Timestamp(traded), "close"].notna().any() else traded


def _history(asked: Asked, first: date, last: date) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Bars, and what Yahoo says of the symbol."""
    import yfinance
    from peewee import PeeweeException
    from yfinance.data import YfData
    from yfinance.exceptions import YFException, YFRateLimitError

    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # errors are raised, and told once
    ticker = yfinance.Ticker(asked.series)
    # Known beforehand: asked for, a fault of the network would come out as "possibly delisted; no timezone found".
    ticker._tz = TIME_ZONE
    try:
        with _looking_first(YfData()._session):
            # Every argument that changes a number is pinned: defaults of yfinance have changed before.
            frame = ticker.history(
                start=f"{first}", end=f"{last + timedelta(days=1)}", interval="1d", auto_adjust=False,
                back_adjust=False, repair=False, keepna=True, rounding=False, actions=False, prepost=False,
                timeout=30, raise_errors=True,
            )  # fmt: skip
            return frame, ticker.get_history_metadata()
    except YFRateLimitError as error:
        raise TemporaryError(f"HTTP 429: {error}") from None
    except YFException as error:
        raise asked.refused(str(error), "check the symbol on finance.yahoo.com") from None
    except (
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:  # yfinance reads the answer without looking first
        raise asked.refused(
            f"the answer has another shape than it used to ({told(error)})", "a newer yfinance may know it"
        ) from None
    except PeeweeException as error:  # yfinance keeps cookies and time zones in a database of its own
        raise asked.refused(
            f"yfinance cannot use its cache ({error})",
            "make the user's cache folder writable, or remove py-yfinance in it",
        ) from None
    except (OSError, ValueError) as error:  # connection, time-out, an error page instead of JSON
        raise TemporaryError(told(error)) from None


@contextmanager
def _looking_first(session: Any) -> Iterator[None]:
    """While inside, look at each answer of the chart service before yfinance does, which tells neither its status nor
    what came in place of JSON: an error page becomes a fault of decoding, another shape a delisted symbol."""
    ask = session.request

    def look(method: str, url: str, *arguments: Any, **options: Any) -> Any:
        answer = ask(method, url, *arguments, **options)
        if _CHART in url:
            seen = Answer(answer.status_code, answer.headers, answer.content)
            if seen.status == 429 or seen.status >= 500:
                raise TemporaryError(f"HTTP {seen.status}: {seen.words()}")
            if not isinstance(seen.json().get("chart"), dict):
                raise TemporaryError(f"HTTP {seen.status} with a JSON object without a chart")
        return answer

    session.request = look
    try:
        yield
    finally:
        vars(session).pop("request", None)  # an attempt that was too late may have done it already


def _day(about: dict[str, Any], name: str) -> date | None:
    moment = about.get(name)
    return moment.date() if isinstance(moment, pd.Timestamp) else None
