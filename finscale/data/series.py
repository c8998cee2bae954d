"""Economic, sentiment, volatility and search series on trading days: each value from when it was known.

A value observed on day d can be known on some day `known`, by the table below, and is used from the next session
on: at the close of a session everything seen was public before that day began.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.sources.tables import Kind

RATE_3M = "rate_3m"  # LIBOR, then SOFR


@dataclass(frozen=True)
class Publication:
    """When a value can be known after its observation date, and how long it stays in use without a newer one."""

    days: int  # calendar days after the observation; weekends and holidays only ever delay
    stale_after: int  # calendar days after which the series counts as ended
    reason: str


PUBLICATION: dict[str, Publication] = {
    "DGS2": Publication(1, 10, "H.15 release, the next business day at 16:15 New York, after the close"),
    "DGS10": Publication(1, 10, "H.15 release, the next business day at 16:15 New York, after the close"),
    "DFF": Publication(1, 10, "New York Fed, the next business day at 9:00"),
    "USD3MTD156N": Publication(0, 10, "ICE, the same day at 11:55 London"),
    "SOFR": Publication(1, 10, "New York Fed, the next business day at 8:00"),
    "VIX": Publication(0, 10, "Cboe, the same day at 16:15 New York, after the stock market's close"),
    "sentiment": Publication(7, 21, "the bank updates the file about once a week"),
    "search_interest": Publication(0, 21, "counted from the week's last day: a week is known once it has ended"),
}


def on_sessions(series: dict[str, tuple[Kind, pd.DataFrame]], days: pd.DatetimeIndex) -> pd.DataFrame:
    """Every series on every session, as known before that session began.

    series: {name: (kind, raw frame)}; days: sessions, ascending. Returns a frame indexed by `days` with one column
    per series, in lower case; LIBOR and SOFR become the one column rate_3m. NaN before a series
    begins and after it has ended.
    """
    columns = {name: _align(name, kind, frame, days) for name, (kind, frame) in series.items()}
    if "USD3MTD156N" in columns:
        columns[RATE_3M] = _continue(columns.pop("USD3MTD156N"), columns.pop("SOFR", None))
    return pd.DataFrame({name.lower(): values for name, values in columns.items()}, index=days)


def rate_3m_note(series: dict[str, tuple[Kind, pd.DataFrame]]) -> str | None:
    """The join of LIBOR and SOFR in words, for the manifest; None where there is no LIBOR."""
    if "USD3MTD156N" not in series:
        return None
    libor = series["USD3MTD156N"][1].dropna()["date"].max()
    if pd.isna(libor):
        return None  # validation says that it has no value
    if "SOFR" not in series:
        return f"{RATE_3M}: USD3MTD156N to {libor:%Y-%m-%d}; it ends there, for lack of SOFR"
    sofr = series["SOFR"][1].dropna()
    first = sofr.loc[sofr["date"] > libor, "date"].min()
    if pd.isna(first):
        return f"{RATE_3M}: USD3MTD156N to {libor:%Y-%m-%d}; SOFR has no later value"
    return f"{RATE_3M}: USD3MTD156N to {libor:%Y-%m-%d}, SOFR (overnight, secured; not rescaled) from {first:%Y-%m-%d}"


def known_on(name: str, kind: Kind, frame: pd.DataFrame) -> pd.Series:
    """The day on which each value can be known."""
    observed = frame["week_end"] if kind == "trends" else frame["date"]
    if name not in PUBLICATION:
        raise InputError(f"{name}: no publication lag is known for this series; add it to finscale/data/series.py")
    return observed + pd.Timedelta(days=PUBLICATION[name].days)


def _align(name: str, kind: Kind, frame: pd.DataFrame, days: pd.DatetimeIndex) -> np.ndarray:
    values = frame.assign(known=known_on(name, kind, frame)).rename(columns={"close": "value"})
    values = values[["known", "value"]].dropna().sort_values("known")
    # Strictly before the session: a value that comes out during the day is used on the next.
    position = np.searchsorted(values["known"].to_numpy(), days.to_numpy(), side="left") - 1
    used = values["value"].to_numpy(dtype=float)[np.maximum(position, 0)]
    age = days.to_numpy() - values["known"].to_numpy()[np.maximum(position, 0)]
    fresh = (position >= 0) & (age <= np.timedelta64(PUBLICATION[name].stale_after, "D"))
    return np.where(fresh, used, np.nan)


def _continue(libor: np.ndarray, sofr: np.ndarray | None) -> np.ndarray:
    if sofr is None:
        return libor
    ended = np.arange(len(libor)) > np.flatnonzero(~np.isnan(libor)).max(initial=-1)
    return np.where(ended, sofr, libor)
