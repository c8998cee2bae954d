"""FRED (Federal Reserve Bank of St. Louis) through its web service: economic series as published today.

Two questions a series: what FRED holds of it (first and last day), and its observations. So an answer that ends early
or begins late is told from a series that does (https://fred.stlouisfed.org/docs/api/fred/).
"""

import os
from datetime import date
from typing import Any

import pandas as pd

from finscale.errors import InputError
from finscale.sources.client import Asked, TemporaryError, ask, get
from finscale.sources.contract import Promise, judge

URL = "https://api.stlouisfed.org/fred"
_KEY = "FRED_API_KEY"
_GAP = 7  # calendar days at the ends: daily series have no rows for weekends
_REMEDY = f"check {_KEY} and the series' page at fred.stlouisfed.org"
_LIBOR = "FRED withdrew LIBOR in 2022: put a saved USD3MTD156N.csv into the fred/ folder of data.directory"


def fetch(series: str, first: date, last: date) -> pd.DataFrame:
    """Observations from `first` to `last`: date, value (percent a year); days without a value are left out.

    Raises InputError for an absent or refused key, an unknown series, a server that does not answer, or an
    answer that is not what was asked for.
    """
    if not os.environ.get(_KEY):
        raise InputError(
            f"FRED, {series}: the environment variable {_KEY} is not set; a key is free at "
            "https://fred.stlouisfed.org/docs/api/api_key.html"
        )
    asked = Asked("FRED", series)
    begins, ends = ask(asked, lambda: _span(asked))
    span = {"observation_start": f"{first}", "observation_end": f"{last}"}
    observed = ask(asked, lambda: _observations(asked, span))
    frame = pd.DataFrame({name: _column(asked, observed, name) for name in ("date", "value")})
    judge(asked, frame, Promise(first, last, max(begins, first), min(ends, last), late=_GAP, early=_GAP))
    known = frame.dropna().reset_index(drop=True)
    if known.empty:
        raise asked.refused(f"no value from {first} to {last}", "change data.start and data.end")
    return known


def _question(asked: Asked, path: str, **options: str) -> dict[str, Any]:
    remedy = _LIBOR if asked.series == "USD3MTD156N" else _REMEDY
    secret = {"api_key": os.environ[_KEY], "file_type": "json", "series_id": asked.series}
    return get(asked, f"{URL}/{path}", remedy, params=secret | options).json()


def _span(asked: Asked) -> tuple[date, date]:
    """The first and last day that FRED holds."""
    answer = _question(asked, "series")
    try:
        (about,) = answer["seriess"]  # FRED's own spelling
        return date.fromisoformat(about["observation_start"]), date.fromisoformat(about["observation_end"])
    except (KeyError, ValueError, TypeError):
        raise TemporaryError("an answer that does not describe one series") from None


def _observations(asked: Asked, span: dict[str, str]) -> list[dict[str, str]]:
    answer = _question(asked, "series/observations", **span)
    rows, count = answer.get("observations"), answer.get("count")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and {"date", "value"} <= row.keys() for row in rows):
        raise TemporaryError("an answer without observations")
    if len(rows) != count:
        raise TemporaryError(f"{len(rows)} observations of {count}")
    return rows


def _column(asked: Asked, rows: list[dict[str, str]], name: str) -> pd.Series:
    """The rows' dates or values; '.' is FRED's sign for a day without a value."""
    text = pd.Series([row[name] for row in rows], dtype=object)
    text = text.where(text != ".")
    if name == "date":
        read = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce").astype("datetime64[ns]")
    else:
        read = pd.to_numeric(text, errors="coerce").astype(float)
    if (bad := read.isna() & text.notna()).any():
        raise asked.refused(f"{text[bad].iloc[0]} is no {'date' if name == 'date' else 'number'}", _REMEDY)
    return read
