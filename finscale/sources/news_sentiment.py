"""Daily News Sentiment Index of the Federal Reserve Bank of San Francisco (Buckman, Shapiro, Sudhof, Wilson 2020).

The bank re-estimates the whole series at each release: it is not point-in-time. Each download is
kept as a whole, with its vintage.
"""

import io
from datetime import date
from zipfile import BadZipFile

import pandas as pd
import requests

from finscale.errors import InputError
from finscale.sources.retrying import TemporaryError, ask

URL = "https://www.frbsf.org/wp-content/uploads/news_sentiment_data.xlsx"
_NAME = "SF Fed news sentiment"
_TIMEOUT = 60


def fetch(first: date, last: date) -> pd.DataFrame:
    """The index from `first` to `last`, every calendar day: date, value, vintage (the release it is of).

    Raises InputError where the spreadsheet cannot be fetched or read, or ends more than a year before `last`.
    """
    content, vintage = ask(_NAME, _download)
    frame = _read(content)
    frame = frame[frame["date"].between(pd.Timestamp(first), pd.Timestamp(last))].dropna()
    if frame.empty:
        raise InputError(f"{_NAME}: the spreadsheet has no value from {first} to {last}; nothing was stored")
    return frame.assign(vintage=vintage).reset_index(drop=True)


def notes(frame: pd.DataFrame) -> list[str]:
    return [f"{_NAME}: release of {frame['vintage'].iloc[0]}, which re-estimates the past"]


def _download() -> tuple[bytes, str]:
    try:
        response = requests.get(URL, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise TemporaryError(f"{type(error).__name__}: {error}") from None
    if response.status_code == 429 or response.status_code >= 500:
        raise TemporaryError(f"HTTP {response.status_code}")
    if response.status_code != 200:
        raise InputError(f"{_NAME}: {URL} answers HTTP {response.status_code}; nothing was stored")
    return response.content, response.headers.get("Last-Modified", "an unnamed date")


def _read(content: bytes) -> pd.DataFrame:
    try:
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None)
    except (BadZipFile, ValueError, KeyError, OSError) as error:
        raise InputError(f"{_NAME}: the spreadsheet is damaged ({error}); nothing was stored, try again") from None
    for sheet in sheets.values():
        named = sheet.rename(columns=lambda name: str(name).strip().lower())
        if {"date", "news sentiment"} <= set(named.columns):
            frame = named[["date", "news sentiment"]].set_axis(["date", "value"], axis=1)
            return frame.assign(date=pd.to_datetime(frame["date"]).astype("datetime64[ns]"))
    raise InputError(f"{_NAME}: no sheet has the columns `date` and `News Sentiment`; the bank has changed the file")
