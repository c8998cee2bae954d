"""Does a prediction tell the symbols of a day apart? Correlations day by day, and a portfolio of the extreme deciles.

    IC, rank IC   per day the correlation over symbols, Pearson's and Spearman's, of predictions with what came of them
                  (Grinold and Kahn 1999, chapter 6); a day is one observation, and blocks of days are redrawn
    outcome       direction, threshold_*, regression: the return from the label's entry, the close of the day, to the
                  close of its exit. A label of 0 or 1 throws away by how much, and is the same for all symbols on the
                  very days that matter. volatility, surprise: the label, since a return says nothing of its own size
    deciles       each day a tenth of the symbols long and a tenth short, in equal parts, 1 of the capital on each side;
                  symbols with equal predictions share what falls to them, so that a constant prediction holds nothing.
                  Of volatility and surprise the calm symbols are long, as in trading.signals

Fewer than MIN_SYMBOLS symbols on a day have no deciles, and a correlation that is mostly noise: such a day has neither.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import Task
from finscale.evaluation.baseline_names import names_in
from finscale.evaluation.bootstrap import MIN_BLOCKS, choose_block_length, resample
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.metrics import Score, mean_score
from finscale.evaluation.score_names import CORRELATIONS

MIN_SYMBOLS = 10
COLUMNS = ("date", "model", "symbols", *CORRELATIONS)
_DECILES = 10
_SEED = 0  # of the resampling, a part of the measurement
_OF_LABELS: tuple[Task, ...] = ("volatility", "surprise")


def daily_ic(test: pd.DataFrame, bars: pd.DataFrame, task: Task) -> pd.DataFrame:
    """One row per day of MIN_SYMBOLS or more symbols and per prediction that tells any two of them apart: COLUMNS.

    test: date, asset, label, exit, model and baselines, one row per symbol and day. bars: date, asset, close.
    """
    told = test.assign(outcome=outcomes(test, bars, task)).sort_values(["date", "asset"], ignore_index=True)
    symbols = told.groupby("date")["asset"].transform("size")
    told = told[symbols >= MIN_SYMBOLS]
    names = ["model", *names_in(test)]
    if told.empty:
        return pd.DataFrame({"date": told["date"], "model": "", "symbols": 0, "ic": 0.0, "rank_ic": 0.0})
    day, dates = pd.factorize(told["date"])
    ranks = told.groupby("date")[["outcome", *names]].rank()
    table = [
        pd.DataFrame(
            {
                "date": dates,
                "model": name,
                "symbols": np.bincount(day),
                "ic": _correlations(told[name].to_numpy(float), told["outcome"].to_numpy(float), day),
                "rank_ic": _correlations(ranks[name].to_numpy(), ranks["outcome"].to_numpy(), day),
            }
        )
        for name in names
    ]
    return pd.concat(table, ignore_index=True).dropna(ignore_index=True)


def outcomes(test: pd.DataFrame, bars: pd.DataFrame, task: Task) -> np.ndarray:
    """What came of each row's prediction: a return from close to close, or the label."""
    if task in _OF_LABELS or task == "regression":
        return test["label"].to_numpy(dtype=float)
    close = bars.set_index(["date", "asset"])["close"]
    entry, leave = (
        close.reindex(pd.MultiIndex.from_frame(test[[day, "asset"]])).to_numpy() for day in ("date", "exit")
    )
    return np.asarray(leave / entry - 1)


def summary(ics: pd.DataFrame, test: pd.DataFrame, horizon_bars: int, config: EvaluateConfig) -> dict[str, Any]:
    """Mean IC and rank IC of each prediction with their intervals, for metrics/experiment.json; {} of one symbol.

    ics: of daily_ic. Where there is nothing to tell, `none` says why. Each series of days has blocks of its own
    length, unless params.yaml sets one.
    """
    symbols = test.groupby("date").size()
    if symbols.max() == 1:
        return {}
    days = int((symbols >= MIN_SYMBOLS).sum())
    told: dict[str, Any] = {
        "symbols": {"fewest": int(symbols.min()), "median": float(symbols.median()), "most": int(symbols.max())}
    }
    told |= {"days": days, "days_left_out": len(symbols) - days}
    if days < 2 * MIN_BLOCKS:
        return told | {"none": f"{days} of {len(symbols)} test days have {MIN_SYMBOLS} symbols or more"}
    models = {name: _intervals(own, horizon_bars, config) for name, own in ics.groupby("model", sort=False)}
    return told | {"models": {name: found for name, found in models.items() if found}}


def by_year(ics: pd.DataFrame, horizon_bars: int, config: EvaluateConfig) -> pd.DataFrame:
    """year, rank_ic, rank_ic_low, rank_ic_high of the model, blocks resampled within the year."""
    mine = ics[ics["model"] == "model"]
    rows = []
    for year, own in mine.groupby(mine["date"].dt.year):
        if found := _intervals(own, horizon_bars, config):
            score = found["rank_ic"]
            rows.append((year, score["value"], score["low"], score["high"]))
    return pd.DataFrame(rows, columns=["year", "rank_ic", "rank_ic_low", "rank_ic_high"])


def decile_weights(test: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Share of the capital in each symbol (columns) on each day, above 0 long and below short; 0 where there is none.

    Each side adds up to 1 at most; days of fewer than MIN_SYMBOLS symbols hold nothing. test: date, asset, model.
    """
    told = test.sort_values(["date", "model", "asset"], ignore_index=True)
    by_day = told.groupby("date")
    count, place = by_day["asset"].transform("size").to_numpy(), by_day.cumcount().to_numpy()
    side = np.where(count >= MIN_SYMBOLS, count // _DECILES, 0)
    held = (place >= count - side).astype(float) - (place < side)
    told["held"] = np.divide(held, side, out=np.zeros(len(told)), where=side > 0)
    told["held"] = told.groupby(["date", "model"])["held"].transform("mean")  # equal predictions, equal parts
    weights = told.pivot(index="date", columns="asset", values="held").fillna(0.0)
    return -weights if task in _OF_LABELS else weights


def _intervals(own: pd.DataFrame, horizon_bars: int, config: EvaluateConfig) -> dict[str, Any]:
    """Of one prediction, oldest day first; {} where it has too few days."""
    if len(own) < 2 * MIN_BLOCKS:
        return {}
    found: dict[str, Any] = {"days": len(own)}
    for kind in CORRELATIONS:
        values = own[kind].to_numpy()
        block = choose_block_length(values, horizon_bars) if config.block_length == "auto" else config.block_length
        sample = resample(np.arange(len(values)), block, config.resamples, config.confidence, _SEED)
        score: Score = mean_score(values, *sample)
        found[kind] = asdict(score) | {"positive": float((values > 0).mean()), "block_length": block}
    return found


def _correlations(x: np.ndarray, y: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each day, (T,); NaN where one of both is the same for all. day: ascending, from 0."""
    first = np.flatnonzero(np.diff(day, prepend=-1))
    count = np.diff(np.append(first, len(day)))
    alike = [np.maximum.reduceat(one, first) == np.minimum.reduceat(one, first) for one in (x, y)]
    x, y = (one - np.repeat(np.add.reduceat(one, first) / count, count) for one in (x, y))
    xy, xx, yy = (np.add.reduceat(product, first) for product in (x * y, x * x, y * y))
    defined = ~(alike[0] | alike[1])
    return np.divide(xy, np.sqrt(xx * yy), out=np.full(len(first), np.nan), where=defined)
