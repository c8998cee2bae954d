"""FRED (Federal Reserve Bank of St. Louis) through fredapi: economic series as published today."""

import os
import socket
from datetime import date
from urllib.error import HTTPError, URLError
from xml.etree.ElementTree import ParseError

import pandas as pd

from finscale.errors import InputError
from finscale.sources.retrying import TemporaryError, ask

_KEY = "FRED_API_KEY"
_TIMEOUT = 30  # seconds; fredapi sets none
_LIBOR_HINT = " (FRED withdrew LIBOR in 2022: put a saved USD3MTD156N.csv into the fred/ folder of data.directory)"


def fetch(series: str, first: date, last: date) -> pd.DataFrame:
    """Observations from `first` to `last`: date, value (percent a year); days without a value are left out.

    Raises InputError for an absent or refused key, an unknown series, or a server that does not answer.
    """
    if not os.environ.get(_KEY):
        raise InputError(
            f"FRED, {series}: the environment variable {_KEY} is not set; a key is free at "
            "https://fred.stlouisfed.org/docs/api/api_key.html"
        )
    observed = ask(f"FRED, {series}", lambda: _observations(series, first, last))
    if not len(observed):
        raise InputError(f"FRED, {series}: no observation from {first} to {last}; nothing was stored")
    frame = pd.DataFrame(
        {"date": pd.DatetimeIndex(observed.index).astype("datetime64[ns]"), "value": observed.to_numpy()}
    )
    return frame.dropna().reset_index(drop=True)


def _observations(series: str, first: date, last: date) -> pd.Series:
    from fredapi import Fred

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        return Fred(api_key=os.environ[_KEY]).get_series(series, first, last)
    except (ParseError, URLError, HTTPError, TimeoutError, ConnectionError) as error:
        raise TemporaryError(f"{type(error).__name__}: {error}") from None
    except ValueError as error:  # fredapi passes on the server's own words
        message = str(error)
        if "Too Many Requests" in message or "Internal Server Error" in message:
            raise TemporaryError(message) from None
        hint = _LIBOR_HINT if series == "USD3MTD156N" else ""
        raise InputError(f"FRED, {series}: {message}{hint}; nothing was stored") from None
    finally:
        socket.setdefaulttimeout(before)
