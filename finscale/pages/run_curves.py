"""One run's curves as tables, for the charts of the page: ranking, equity, coverage."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from finscale.evaluation.trading import drawdown

ROLLING = 60  # sessions over which coverage is averaged
_POINTS = 150  # of a curve, at most


@dataclass(frozen=True)
class RunCurves:
    """roc, precision_recall: name, x, y. equity: date, name, capital, drawdown. coverage: date, name, coverage."""

    roc: pd.DataFrame
    precision_recall: pd.DataFrame
    equity: pd.DataFrame
    coverage: pd.DataFrame
    level: float  # the coverage that was promised


def roc_table(test: pd.DataFrame, names: list[str], positive: np.ndarray) -> pd.DataFrame:
    """x: false positive rate, y: true positive rate of each prediction; its name with the area. positive: (n,) 0/1."""
    parts = []
    for name in names:
        false, true, _ = roc_curve(positive, test[name])
        parts.append(_curve(f"{shown(name)} {roc_auc_score(positive, test[name]):.3f}", false, true))
    return pd.concat(parts, ignore_index=True)


def precision_recall_table(test: pd.DataFrame, names: list[str], positive: np.ndarray) -> pd.DataFrame:
    """x: recall, y: precision of each prediction; its name with the mean precision. positive: (n,) 0/1."""
    parts = []
    for name in names:
        precision, recall, _ = precision_recall_curve(positive, test[name])
        parts.append(_curve(f"{shown(name)} {average_precision_score(positive, test[name]):.3f}", recall, precision))
    return pd.concat(parts, ignore_index=True)


def equity_table(accounts: pd.DataFrame) -> pd.DataFrame:
    """Capital (1 at the start) and drawdown of the model and of buy-and-hold. accounts: plots/equity.csv."""
    parts = [
        pd.DataFrame(
            {"date": accounts["date"].astype(str), "name": name, "capital": np.cumprod(1 + accounts[column].to_numpy())}
        ).assign(drawdown=drawdown(accounts[column].to_numpy()))
        for column, name in (("return", "model"), ("buy_and_hold", "buy and hold"))
    ]
    return pd.concat(parts, ignore_index=True).round(5)


def coverage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean coverage of the last ROLLING sessions by each conformal method. rows: what conformal.conform returns."""
    covered = rows.groupby("date")[["split_covered", "adaptive_covered"]].mean().rolling(ROLLING).mean().dropna()
    covered.columns = ["split", "adaptive"]
    covered.index = covered.index.strftime("%Y-%m-%d")
    return covered.rename_axis("date").reset_index().melt("date", var_name="name", value_name="coverage").round(4)


def shown(name: str) -> str:
    return "PatchTST" if name == "model" else name.replace("_", " ")


def _curve(name: str, x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """At most _POINTS of a curve, ends included, in the order in which it is drawn."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
    return pd.DataFrame({"name": name, "x": x[kept], "y": y[kept], "order": np.arange(len(kept))}).round(4)
