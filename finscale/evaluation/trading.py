"""What predictions would have earned, hypothetically: a secondary measure that is easy to fool oneself with.

    signal      after the close of day t: 1 (long) where the prediction lies above what the training rows did on
                average, else 0 (long_flat) or -1 (long_short); a regression's prediction is compared with 0.
                Volatility and surprise tell no direction: long where a large move is less likely than usual, as
                volatility-managed portfolios are (Moreira & Muir 2017)
    position    a signal lasts h bars, and each day's signals get 1 / h of the capital, in equal parts, so that the
                sleeves of overlapping horizons add up to one: the position is the mean of the last h days' sleeves.
                A symbol without a prediction has no part in a day's sleeve
    execution   at the next bar's open; the position then earns open to open. Where a symbol has no bar nothing of it
                can be traded: it is held until its next open, and given up at its last one
    costs       per side, in basis points of the capital that changes hands, entry and final exit included

Assumed, not studied: cash earns nothing, opens can be traded at, positions are re-balanced every day at no cost
beyond that of the change in position, shorting is free.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from finscale.config import Task, Timescale
from finscale.errors import InputError
from finscale.evaluation.bootstrap import Draws, percentile_interval, resample
from finscale.evaluation.config import Rule
from finscale.evaluation.metrics import Score

_DAYS_PER_YEAR = 365.25
BARS_PER_YEAR: dict[Timescale, float] = {
    "daily": 252, "daily_multi": 252, "2d": 252 / 2, "3d": 252 / 3, "5d": 252 / 5, "weekly": _DAYS_PER_YEAR / 7,
    "2week": _DAYS_PER_YEAR / 14, "monthly": 12,
}  # fmt: skip
_SEED = 0  # of the resampling, a part of the measurement


@dataclass(frozen=True)
class Performance:
    """Of a series of returns after costs, a bar each. A year has BARS_PER_YEAR of them; returns are compounded."""

    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: Score  # annual
    probabilistic_sharpe: float
    deflated_sharpe: float
    maximum_drawdown: float  # a positive fraction
    annual_turnover: float  # capital traded per year, in multiples of the capital


def signals(predictions: pd.DataFrame, task: Task, rule: Rule) -> pd.DataFrame:
    """One column per asset, indexed by day: 1, 0 or -1, NaN where an asset has no prediction.

    predictions: date, asset, model, base_rate.
    """
    above = predictions["model"] > (0.0 if task == "regression" else predictions["base_rate"])
    below = predictions["model"] < predictions["base_rate"]
    table = predictions.assign(up=(below if task in ("volatility", "surprise") else above).astype(float))
    up = table.pivot(index="date", columns="asset", values="up")
    return up if rule == "long_flat" else 2 * up - 1


def positions(signal: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Share of the capital in each asset: sleeves of 1 / horizon, a day's predicted assets in equal parts."""
    return overlapping(signal.div(signal.count(axis=1), axis=0), horizon)


def overlapping(sleeve: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Share of the capital in each asset where each day's sleeve gets 1 / horizon and lasts as long; from cash."""
    return sleeve.fillna(0.0).rolling(horizon, min_periods=1).sum() / horizon


def next_open_returns(bars: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Return of each asset from the open after each day to its next open; NaN where it cannot be bought and sold.

    An asset without a bar on the next day earns, on the day before the gap, what it does over the whole of it. Days
    on which no asset has two later opens are left out. bars: date, asset, open. Raises InputError where that is all.
    """
    opens = bars.pivot(index="date", columns="asset", values="open")
    following = opens.bfill().shift(-1)
    earned = (following / opens - 1).shift(-1).reindex(days).dropna(how="all")
    if earned.empty:
        raise InputError("trade: no test day has two later opens in data/interim/bars.parquet; move dataset.split")
    return earned


def trade(position: pd.DataFrame, earned: pd.DataFrame, cost_bps: float) -> pd.DataFrame:
    """Daily account of positions (rows: days, columns: assets) that earn `earned`: return, turnover, position.

    Costs fall on the day's change of position; the last day also pays for the way out.
    """
    wanted = position.reindex(index=earned.index, columns=earned.columns).fillna(0.0)
    held = wanted.where(earned.notna()).ffill().where(_alive(earned), 0.0)
    traded = held.diff().fillna(held.iloc[[0]]).abs().sum(axis=1)
    traded.iloc[-1] += held.iloc[-1].abs().sum()
    gained = (held * earned).sum(axis=1) - traded * cost_bps / 10_000
    return pd.DataFrame({"return": gained, "turnover": traded, "position": held.sum(axis=1)})


def buy_and_hold(earned: pd.DataFrame, cost_bps: float) -> pd.DataFrame:
    """The same account for all assets that are listed, in equal parts on all days."""
    listed = _alive(earned).astype(float)
    return trade(listed.div(listed.sum(axis=1), axis=0), earned, cost_bps)


def _alive(earned: pd.DataFrame) -> pd.DataFrame:
    """Whether an asset is listed: from its first tradable day to its last, gaps between them included."""
    return earned.ffill().notna() & earned.bfill().notna()


def performance(
    account: pd.DataFrame, bars_per_year: float, block_length: int, resamples: int, confidence: float,
    configurations: int,
) -> Performance:  # fmt: skip
    """Measures of an account, a row per bar. configurations: how many were tried before this one was looked at."""
    returns = account["return"].to_numpy()
    equity = np.cumprod(1 + returns)
    years = len(returns) / bars_per_year
    sample = resample(np.arange(len(returns)), block_length, resamples, confidence, _SEED)
    return Performance(
        total_return=float(equity[-1] - 1),
        annual_return=float(equity[-1] ** (1 / years) - 1),
        annual_volatility=float(returns.std(ddof=1) * math.sqrt(bars_per_year)),
        sharpe=sharpe_score(returns, *sample, bars_per_year),
        probabilistic_sharpe=probabilistic_sharpe(returns, 0.0),
        deflated_sharpe=probabilistic_sharpe(returns, expected_best_sharpe(len(returns), configurations)),
        maximum_drawdown=float(-drawdown(returns).min()),
        annual_turnover=float(account["turnover"].sum() / years),
    )


def drawdown(returns: np.ndarray) -> np.ndarray:
    """Distance below the highest equity so far, as a fraction, 0 or less; the capital at the start counts as a high."""
    equity = np.cumprod(1 + returns)
    return np.asarray(equity / np.maximum.accumulate(np.append(1.0, equity))[1:] - 1)


def sharpe_score(returns: np.ndarray, draws: Draws, enclosed: float, bars_per_year: float) -> Score:
    """Annual Sharpe ratio with its interval; 0 for an account that never moves."""
    drawn = draws.sizes
    mean = draws.sums(returns) / drawn
    variance = (draws.sums(returns**2) / drawn - mean**2) * drawn / (drawn - 1)
    resampled = np.divide(mean, np.sqrt(np.maximum(variance, 0)), out=np.zeros_like(mean), where=variance > 1e-20)
    yearly = math.sqrt(bars_per_year)
    return Score(_daily_sharpe(returns) * yearly, *percentile_interval(resampled * yearly, enclosed))


def probabilistic_sharpe(returns: np.ndarray, benchmark: float) -> float:
    """Probability that the true daily Sharpe ratio exceeds the benchmark (Bailey and Lopez de Prado 2012, eq. 11)."""
    if returns.std() < 1e-10:
        return 0.5
    sharpe, skew, kurtosis = _daily_sharpe(returns), *_skew_and_kurtosis(returns)
    deviation = math.sqrt((1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (len(returns) - 1))
    return float(special.ndtr((sharpe - benchmark) / deviation))


def expected_best_sharpe(days: int, configurations: int) -> float:
    """The highest daily Sharpe ratio to expect of so many tries without any skill (Bailey and Lopez de Prado 2014).

    Assumed, not studied: the tries are independent and their Sharpe ratios differ by estimation error alone,
    variance 1 / days; related tries would lower the bar.
    """
    if configurations < 2:
        return 0.0
    first = special.ndtri(1 - 1 / configurations)
    second = special.ndtri(1 - 1 / (configurations * math.e))
    return float(((1 - np.euler_gamma) * first + np.euler_gamma * second) / math.sqrt(days))


def _skew_and_kurtosis(returns: np.ndarray) -> tuple[float, float]:
    """As scipy.stats has them (3 for a normal distribution), which takes a second to import."""
    deviation = returns - returns.mean()
    squared = deviation**2
    variance = squared.mean()
    return float((squared * deviation).mean() / variance**1.5), float((squared**2).mean() / variance**2)


def _daily_sharpe(returns: np.ndarray) -> float:
    deviation = returns.std(ddof=1)
    return float(returns.mean() / deviation) if deviation > 1e-10 else 0.0
