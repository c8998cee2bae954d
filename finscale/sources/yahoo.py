"""Yahoo Finance through yfinance: daily bars as traded, and the adjusted close beside them."""

import logging
from datetime import date, timedelta

import pandas as pd

from finscale.calendar import sessions
from finscale.errors import InputError
from finscale.sources.retrying import TemporaryError, ask
from finscale.sources.tables import PRICE_COLUMNS

_COLUMNS = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]


def fetch(symbol: str, first: date, last: date) -> pd.DataFrame:
    """Bars from `first` to `last`, both included: tables.PRICE_COLUMNS. Splits are in the prices, dividends only in
    adj_close.

    Raises InputError where Yahoo knows no such symbol, does not answer, or stops before `last`.
    """
    history = ask(f"Yahoo Finance, {symbol}", lambda: _history(symbol, first, last))
    if absent := [name for name in _COLUMNS if name not in history]:
        raise InputError(f"Yahoo Finance, {symbol}: the answer has no column {', '.join(absent)}; nothing was stored")
    frame = history[_COLUMNS].set_axis(list(PRICE_COLUMNS[1:]), axis=1).reset_index(names="date")
    frame["date"] = frame["date"].dt.tz_localize(None).dt.normalize().astype("datetime64[ns]")
    frame = frame.dropna(subset=["close"]).reset_index(drop=True)
    expected = sessions(pd.Timestamp(first), pd.Timestamp(last))[-1]
    if frame.empty or frame["date"].max() < expected:
        told = f"ends on {frame['date'].max():%Y-%m-%d}" if len(frame) else "is empty"
        raise InputError(
            f"Yahoo Finance, {symbol}: the answer {told}, before {expected:%Y-%m-%d}; nothing was stored, try later or "
            "set data.end to an earlier day"
        )
    return frame


def _history(symbol: str, first: date, last: date) -> pd.DataFrame:
    import yfinance
    from yfinance.exceptions import YFException, YFRateLimitError

    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # errors are raised, and told once
    try:
        # Every argument that changes a number is pinned: defaults of yfinance have changed before.
        return yfinance.Ticker(symbol).history(
            start=f"{first}", end=f"{last + timedelta(days=1)}", interval="1d", auto_adjust=False, back_adjust=False,
            repair=False, keepna=True, rounding=False, actions=False, prepost=False, timeout=30, raise_errors=True,
        )  # fmt: skip
    except YFRateLimitError as error:
        raise TemporaryError(str(error)) from None
    except YFException as error:
        raise InputError(f"Yahoo Finance, {symbol}: {error}") from None
    except (KeyError, TypeError, IndexError) as error:  # yfinance reads the answer without looking first
        raise InputError(
            f"Yahoo Finance, {symbol}: the answer has another shape than it used to ({type(error).__name__}: {error}); "
            "nothing was stored; a newer yfinance may know it"
        ) from None
    except (OSError, ValueError) as error:  # connection, time-out, an error page instead of JSON
        raise TemporaryError(f"{type(error).__name__}: {error}") from None
