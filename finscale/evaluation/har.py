"""HAR-RV: tomorrow's volatility from those of the last day, week and month (Corsi 2009).

A heterogeneous autoregression: the log realised volatility of the bars to come, regressed by least squares on the
log realised volatilities of the last 1, 5 and 22 bars; one regression for all symbols together (Bollerslev et al. 2018
find that better than one each). For a surprise, which is 0 or 1, the same three numbers enter a logistic regression,
measured against the symbol's usual volatility, as the label is.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from finscale.data.labels import log_volatility, past_deviation
from finscale.errors import InputError

_SPANS = (1, 5, 22)  # bars: a day, a week and a month of daily bars
REALISED = tuple(f"realised_{span}" for span in _SPANS)
COLUMNS = (*REALISED, "usual", "bars")  # what add_past adds


def add_past(bars: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `realised_1`, `_5`, `_22`, `usual` and `bars`.

    realised_n: log realised volatility per bar of the last n bars, the row's own among them. usual: standard deviation
    per bar of the log returns that a surprise is measured against. bars: how many come until the label's exit.

    bars: date, asset, close, for every session. rows: date, asset, exit of labelled data set rows. Raises InputError
    where a row has too little past for one of them.
    """
    close = closes(bars)
    parts = [own.assign(**_past(close[asset], own)) for asset, own in rows.groupby("asset", sort=False)]
    told = pd.concat(parts).loc[rows.index]
    if (short := told[list(COLUMNS)].isna().any(axis=1)).any():
        first = told[short].iloc[0]
        raise InputError(
            f"baselines: {first['asset']} on {first['date']:%Y-%m-%d} has too few bars before it for HAR-RV; raise "
            "dataset.context_reserve"
        )
    return told


def closes(bars: pd.DataFrame) -> dict[Hashable, pd.Series]:
    """The closes of each asset by day, oldest first."""
    return {asset: own.set_index("date")["close"].sort_index() for asset, own in bars.groupby("asset", sort=False)}


def log_forecast(train: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    """The forecast of task `volatility` for the wanted rows. train: with `label`; both as add_past leaves them."""
    return least_squares(train[list(REALISED)].to_numpy(), train["label"].to_numpy(), wanted[list(REALISED)].to_numpy())


def surprise_probability(train: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    """P(label) of task `surprise` for the wanted rows. train: with `label`; both as add_past leaves them."""
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(_against_usual(train), train["label"])
    return np.asarray(fitted.predict_proba(_against_usual(wanted))[:, 1])


def least_squares(x: np.ndarray, y: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Fitted values at `wanted` of y regressed on the columns of x and a constant."""
    coefficients, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)
    return np.asarray(np.column_stack([np.ones(len(wanted)), wanted]) @ coefficients)


def _past(close: pd.Series, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    prices = close.to_numpy()
    day, exits = close.index.get_indexer(rows["date"]), close.index.get_indexer(rows["exit"])
    told = {"usual": past_deviation(prices)[day], "bars": (exits - day).astype(float)}
    for name, span in zip(REALISED, _SPANS, strict=True):
        known = day >= span
        end = np.maximum(day, span) + 1
        told[name] = np.where(known, log_volatility(prices, end - span, end), np.nan)
    return told


def _against_usual(rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(rows[list(REALISED)].to_numpy() - np.log(rows[["usual"]].to_numpy()))
