"""Labels: what is to be predicted, computed once from prices that were never normalised.

The label of day t looks from its entry (the close of t) to its exit, h sessions later:

    return       r = close[exit] / close[t] - 1
    threshold    r > theta            (label.price: close)
                 max(high[t+1 .. exit]) / close[t] - 1 >= theta   (label.price: high)
    volatility   log of the root of the mean squared log return of the bars t+1 .. exit, that root at least FLOOR
    surprise     |log(close[exit] / close[t])| > s[t] sqrt(h), s[t] the standard deviation of the PAST log returns up to
                 t: a move that is large for this symbol at this time, so that no symbol is the answer by itself

The horizon `weekly` exits at the close of the first trading week that ends after t: one to
five sessions later, and five on the last session of a full week.
"""

from typing import Literal

import numpy as np
import pandas as pd

from finscale.calendar import week_end
from finscale.config import Horizon, Task, Timescale
from finscale.errors import InputError
from finscale.indicators.arrays import rolling_std

THRESHOLDS: dict[Task, float] = {
    "direction": 0.0,
    "threshold_1pct": 0.01,
    "threshold_2pct": 0.02,
    "threshold_3pct": 0.03,
    "threshold_5pct": 0.05,
}

FLOOR = 1e-4  # of a realised volatility per bar: a bar without a move has no logarithm
PAST = 60  # log returns that a surprise is measured against


def label(
    bars: pd.DataFrame,
    task: Task,
    horizon: Horizon,
    price: Literal["close", "high"] = "close",
    days: pd.DatetimeIndex | None = None,
) -> pd.DataFrame:
    """Label every day of one asset whose exit is in the data.

    bars: date-indexed open, high, low, close, volume, one row per session. days: those on which the exchange closed a
    bar, by default those of `bars`; the horizon counts them, so that a bar that is lacking puts off no exit. A label
    whose exit is lacking does not exist, nor does one that looks at a bar on the way there (volatility, highs).
    Returns date, label (0/1; the return for task regression, the log volatility for volatility), exit (date), and
    last_known: the newest label that was known at the close of `date`, NaN before there is one. The first PAST days
    have no surprise.
    """
    if price == "high" and not task.startswith("threshold"):
        raise InputError(f"params.yaml: label.price = high is for threshold tasks only, not for task = {task}")
    dates = pd.DatetimeIndex(bars.index)
    days = dates if days is None else days
    at = days.get_indexer(dates)
    span = _exit_rows(days, horizon)[at] - at
    to = at + span
    exit_row = np.where(to < len(days), dates.get_indexer(days)[np.minimum(to, len(days) - 1)], -1)
    there = exit_row >= 0
    if task == "volatility" or price == "high":
        there &= exit_row - np.arange(len(dates)) == span
    day = np.flatnonzero(there)
    exits = exit_row[day]
    values = _values(bars, task, price, day, exits, span[day])
    labels = pd.DataFrame({"date": dates[day], "label": values, "exit": dates[exits]})
    labels = labels.dropna(subset=["label"], ignore_index=True)
    return labels.assign(last_known=_last_known(labels))


def _values(
    bars: pd.DataFrame,
    task: Task,
    price: Literal["close", "high"],
    day: np.ndarray,
    exits: np.ndarray,
    span: np.ndarray,
) -> np.ndarray:
    """Labels of the rows `day` with their exits' rows, `span` bars later; NaN where the past needed is too short."""
    close = bars["close"].to_numpy()
    if task == "volatility":
        return log_volatility(close, day + 1, exits + 1)
    if task == "surprise":
        move = np.abs(np.log(close[exits] / close[day]))
        usual = past_deviation(close)[day] * np.sqrt(span)
        return np.where(np.isnan(usual), np.nan, move > usual)
    forward_return = close[exits] / close[day] - 1
    if task == "regression":
        return forward_return
    if price == "high":
        peak = np.array([bars["high"].to_numpy()[t + 1 : e + 1].max() for t, e in zip(day, exits, strict=True)])
        return (peak / close[day] - 1 >= THRESHOLDS[task]).astype(float)
    return (forward_return > THRESHOLDS[task]).astype(float)


def log_volatility(close: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Log realised volatility per bar of the rows first[i] .. end[i] - 1 (Andersen & Bollerslev 1998), floored.

    close: prices, ascending in time. A row's log return is that from the row before; row 0 has none, so 1 <= first.
    """
    squares, count = np.diff(np.log(close), prepend=np.nan) ** 2, end - first
    total = np.zeros(len(first))
    for bar in range(int(count.max(initial=0))):  # term by term: a running sum would carry its rounding along
        total += np.where(bar < count, squares[np.minimum(first + bar, end - 1)], 0.0)
    return np.log(np.maximum(np.sqrt(total / count), FLOOR))


def past_deviation(close: np.ndarray) -> np.ndarray:
    """Standard deviation of the PAST log returns up to each row; NaN before there are as many."""
    return rolling_std(np.diff(np.log(close), prepend=np.nan), PAST, ddof=1)


def horizon_on(timescale: Timescale, horizon: Horizon) -> Horizon:
    """The horizon in bars of the timescale: `weekly` is the week's end on daily bars and one bar on weekly ones.

    Raises InputError for other timescales, whose bars do not close with the week.
    """
    if horizon != "weekly" or timescale in ("daily", "daily_multi"):
        return horizon
    if timescale == "weekly":
        return 1
    raise InputError(
        f"params.yaml: horizon = weekly needs bars that close with the week (timescale daily, daily_multi or weekly), "
        f"not timescale = {timescale}; count bars instead: horizon 1, 2, 3 or 5"
    )


def _exit_rows(dates: pd.DatetimeIndex, horizon: Horizon) -> np.ndarray:
    """For each row the row of its exit; len(dates) or more where the data end before it."""
    rows = np.arange(len(dates))
    if horizon != "weekly":
        return rows + horizon
    weeks = week_end(dates)
    closes_week = np.append(weeks[1:] != weeks[:-1], False)  # the last week may be unfinished
    week_closes = np.append(np.flatnonzero(closes_week), len(dates))
    return week_closes[np.searchsorted(week_closes, rows, side="right")]


def _last_known(labels: pd.DataFrame) -> np.ndarray:
    known = np.searchsorted(labels["exit"].to_numpy(), labels["date"].to_numpy(), side="right") - 1
    return np.where(known >= 0, labels["label"].to_numpy()[np.maximum(known, 0)], np.nan)
