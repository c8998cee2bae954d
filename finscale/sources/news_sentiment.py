"""Daily News Sentiment Index of the Federal Reserve Bank of San Francisco (Buckman, Shapiro, Sudhof, Wilson 2020).

The bank re-estimates the whole series at each release: it is not point-in-time. Each download is
kept as a whole, with its vintage.
"""

import io
from datetime import date
from zipfile import BadZipFile

import pandas as pd

from finscale.sources.client import Asked, TemporaryError, ask, get
from finscale.sources.contract import Promise, judge

URL = "https://www.frbsf.org/wp-content/uploads/news_sentiment_data.xlsx"
_ASKED = Asked("San Francisco Fed", "news sentiment")
_PAGE = "look at frbsf.org, indicators and data, daily news sentiment index"
_FIRST = date(1980, 1, 1)  # the index begins here
_GAP = 30  # calendar days: the bank updates the file about once a week


def fetch(first: date, last: date) -> pd.DataFrame:
    """The index from `first` to `last`, every calendar day: date, value, vintage (the release it is of).

    Raises InputError where the spreadsheet cannot be fetched or read, or is not what was asked for.
    """
    frame, vintage = ask(_ASKED, _download)
    frame = frame[frame["date"].between(pd.Timestamp(first), pd.Timestamp(last))].reset_index(drop=True)
    begins = max(first, _FIRST)
    judge(_ASKED, frame, Promise(first, last, begins, last, late=_GAP, early=_GAP))
    return frame.dropna().assign(vintage=vintage).reset_index(drop=True)


def notes(frame: pd.DataFrame) -> list[str]:
    return [f"{_ASKED.provider}, {_ASKED.series}: release of {frame['vintage'].iloc[0]}, which re-estimates the past"]


def _download() -> tuple[pd.DataFrame, str]:
    response = get(_ASKED, URL, _PAGE)
    return _read(response.content), response.headers.get("Last-Modified", "an unnamed date")


def _read(content: bytes) -> pd.DataFrame:
    """date and value of the sheet that holds them, as published."""
    try:
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None)
    except (BadZipFile, ValueError, KeyError, OSError) as error:  # a page in its place, or half a file
        raise TemporaryError(f"an answer that is no spreadsheet: {error}") from None
    for sheet in sheets.values():
        named = sheet.rename(columns=lambda name: str(name).strip().lower())
        if {"date", "news sentiment"} <= set(named.columns):
            return _typed(named[["date", "news sentiment"]].set_axis(["date", "value"], axis=1))
    raise _ASKED.refused("no sheet has the columns `date` and `News Sentiment`: the bank has changed the file", _PAGE)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    try:
        days = pd.to_datetime(frame["date"]).astype("datetime64[ns]")
        return frame.assign(date=days, value=pd.to_numeric(frame["value"]).astype(float))
    except (ValueError, TypeError) as error:
        raise _ASKED.refused(f"a cell of the spreadsheet cannot be read ({error})", _PAGE) from None
