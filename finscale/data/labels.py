"""Labels: what is to be predicted, computed once from prices that were never normalised.

The label of day t looks from its entry (the close of t) to its exit, h sessions later:

    return       r = close[exit] / close[t] - 1
    threshold    r > theta            (label.price: close)
                 max(high[t+1 .. exit]) / close[t] - 1 >= theta   (label.price: high)

The horizon `weekly` exits at the close of the first trading week that ends after t: one to
five sessions later, and five on the last session of a full week.
"""

from typing import Literal

import numpy as np
import pandas as pd

from finscale.calendar import week_end
from finscale.config import Horizon, Task, Timescale
from finscale.errors import InputError

THRESHOLDS: dict[Task, float] = {
    "direction": 0.0,
    "threshold_1pct": 0.01,
    "threshold_2pct": 0.02,
    "threshold_3pct": 0.03,
    "threshold_5pct": 0.05,
}


def label(bars: pd.DataFrame, task: Task, horizon: Horizon, price: Literal["close", "high"] = "close") -> pd.DataFrame:
    """Label every day of one asset whose exit is in the data.

    bars: date-indexed open, high, low, close, volume, one row per session. Returns date, label
    (0/1, or the return for task regression), exit (date), and last_known: the newest label that
    was known at the close of `date`, NaN before there is one.
    """
    if price == "high" and not task.startswith("threshold"):
        raise InputError(f"params.yaml: label.price = high is for threshold tasks only, not for task = {task}")
    dates = pd.DatetimeIndex(bars.index)
    exit_row = _exit_rows(dates, horizon)
    day = np.flatnonzero(exit_row < len(dates))
    exits = exit_row[day]
    close = bars["close"].to_numpy()
    forward_return = close[exits] / close[day] - 1
    if task == "regression":
        values = forward_return
    elif price == "high":
        peak = np.array([bars["high"].to_numpy()[t + 1 : e + 1].max() for t, e in zip(day, exits, strict=True)])
        values = (peak / close[day] - 1 >= THRESHOLDS[task]).astype(float)
    else:
        values = (forward_return > THRESHOLDS[task]).astype(float)
    labels = pd.DataFrame({"date": dates[day], "label": values, "exit": dates[exits]})
    return labels.assign(last_known=_last_known(labels))


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
