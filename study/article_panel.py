"""The panel as the article tells it: how the loss on stocks that never trained changes with stocks and parameters.

Runs on 1 and on 256 stocks are tested on other stocks of their own; the stocks that never train are the same for all,
so that only there losses of different numbers of stocks can be set side by side.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import parse_budget
from finscale.pages.render import markdown_table
from finscale.scaling.daily import FOLDER, read_daily, unseen_path
from finscale.scaling.fits import sessions_of
from finscale.scaling.laws.contrast import Estimate, Runs, estimate

SIZES = ("10K", "100K", "1M")
STOCKS = (1, 4, 16, 64, 256)
_RIVALS = {"catboost": "CatBoost", "har": "HAR-RV", "garch": "GARCH"}
_NOT_RUN = "not run yet"
_NO_TABLE = "*Not run yet: the ledger holds this panel on one number of stocks alone.*"


def ladder_values(runs: pd.DataFrame, reports: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Table and changes along stocks and along parameters; 'not run yet' for what the ledger does not hold.

    runs: of load_experiment_results. reports: of the stage `scaling`, by experiment.
    """
    own = ladder_runs(runs)
    sizes, stocks = sorted(set(own["budget"]), key=parse_budget), sorted(set(own["train_symbols"]))
    along_stocks = {size: _between(own[own["budget"] == size], "train_symbols") for size in SIZES}
    along_sizes = {number: _between(own[own["train_symbols"] == number], "params") for number in STOCKS}
    yield "ladder.runs", f"{len(own)}"
    yield "ladder.table", markdown_table(list(table_rows(own, sizes))) if len(stocks) > 1 else _NO_TABLE
    yield from ((f"ladder.stocks.{size}", told) for size, told in along_stocks.items())
    yield "ladder.stocks.catboost", _between(own[own["budget"] == SIZES[0]], "train_symbols", "catboost")
    yield from ((f"ladder.size.{number}", told) for number, told in along_sizes.items())
    yield "ladder.verdicts", _verdicts(own, reports)
    yield "ladder.abstract", _abstract(stocks, sizes, along_stocks[SIZES[0]], along_sizes[STOCKS[-1]])


def _abstract(stocks: Sequence[float], sizes: Sequence[str], of_stocks: str, of_sizes: str) -> str:
    if of_stocks == _NOT_RUN:
        return "How that changes with more stocks and more parameters has not been run yet."
    told = (
        f"From {stocks[0]:.0f} to {stocks[-1]:.0f} stocks the loss on stocks that never trained changes by {of_stocks} "
        "with the smallest model"
    )
    if of_sizes != _NOT_RUN:
        told += f", from {sizes[0]} to {sizes[-1]} parameters, with {STOCKS[-1]} stocks, by {of_sizes}"
    return f"{told}."


def ladder_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The panel's runs of `volatility` with a second test, of the settings tried on most numbers of stocks."""
    own = runs[(runs["source"] == "directory") & (runs["assets"] == "all") & (runs["task"] == "volatility")]
    own = own[own["unseen_loss"].notna()]
    counts = own.groupby(["differs", "code", "data"])["train_symbols"].nunique()
    if counts.empty:
        return own
    differs, code, data = counts.sort_values(kind="stable").index[-1]
    return own[(own["differs"] == differs) & (own["code"] == code) & (own["data"] == data)]


def table_rows(own: pd.DataFrame, sizes: Sequence[str]) -> Iterator[dict[str, str]]:
    """A row per number of stocks: mean loss on the stocks that never trained, by size, and of the baselines."""
    for stocks, same in own.groupby("train_symbols"):
        row = {"stocks": f"{stocks:.0f}", "training windows": f"{same['train_windows'].iloc[0]:,}"}
        for size in sizes:
            losses = same.loc[same["budget"] == size, "unseen_loss"]
            row[size] = f"{losses.mean():.4f} ({len(losses)})" if len(losses) else "-"
        first = read_daily(unseen_path(FOLDER, same["key"].iloc[0]))
        for rival, name in _RIVALS.items():
            row[name] = f"{np.average(first[rival], weights=first['rows']):.4f}"
        yield row


def _between(same: pd.DataFrame, axis: str, column: str = "model") -> str:
    """Change of the loss from the smallest value of an axis to the largest: '-5.1 % (-7.0 to -3.2)'."""
    values = sorted(set(same[axis])) if len(same) else []
    ends = same[same[axis].isin([values[0], values[-1]])] if len(values) > 1 else same[:0]
    if ends.empty or not all(unseen_path(FOLDER, key).exists() for key in ends["key"]):
        return _NOT_RUN
    found = contrast(ends, (ends[axis] == values[-1]).to_numpy(), column)
    return percent(found.value, found.low, found.high)


def contrast(runs: pd.DataFrame, upper: np.ndarray, column: str) -> Estimate:
    """Log of the mean loss of some runs over that of the others, over seeds and the days that all of them share."""
    daily = [read_daily(unseen_path(FOLDER, key)).set_index("date") for key in runs["key"]]
    days = daily[0].index
    for one in daily[1:]:
        days = days.intersection(one.index)
    same = [one.loc[days] for one in daily]
    sign = np.where(upper, 1 / upper.sum(), -1 / (~upper).sum())
    return estimate(
        Runs(
            np.vstack([one[column].to_numpy() for one in same]), upper.astype(float), runs["seed"].to_numpy(),
            sessions_of(str(runs["horizon"].iloc[0])), same[0]["rows"].to_numpy(),
        ),
        sign,
    )  # fmt: skip


def _verdicts(own: pd.DataFrame, reports: Mapping[str, Any]) -> str:
    """What the report says of each curve of three sizes or more, on later days of the stocks that trained."""
    told = []
    for stocks, same in own.groupby("train_symbols"):
        report = reports.get(same["experiment"].iloc[0])
        if report and report["fit_results"]:
            told.append(f"{stocks:.0f} stocks {exponent(report['fit_results'])}, {report['verdict']}")
    return "; ".join(told) or _NOT_RUN


def listed(words: Sequence[str]) -> str:
    """'1, 4 and 16'."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def exponent(fit: Mapping[str, float]) -> str:
    """alpha of a report's fit_results with its interval, in as many digits as that takes."""
    digits = 4 if fit["alpha_high"] > 0.001 else 5
    return spread(fit["alpha"], fit["alpha_low"], fit["alpha_high"], digits)


def spread(value: float, low: float, high: float, digits: int) -> str:
    """'0.0081 (-0.0117 to 0.0279)'."""
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def percent(value: float, low: float, high: float) -> str:
    """'-15.5 % (-17.2 to -13.6)' of a log ratio."""
    return "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * np.expm1([value, low, high])))
