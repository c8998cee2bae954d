"""The volatility-only baseline: large moves are mostly volatility, and volatility can be forecast.

A GARCH(1,1) (Bollerslev 1986; by the arch package) is fitted to the returns up to the last training exit and then run
forward with its parameters fixed: the forecast of a day uses prices up to that day's close.
"""

import numpy as np
import pandas as pd
from arch import arch_model
from arch.univariate.base import ARCHModel, ARCHModelResult
from sklearn.linear_model import LogisticRegression

from finscale.errors import InputError
from finscale.evaluation.har import closes, least_squares

_OTHER_STARTS = ((0.05, 0.9), (0.1, 0.85), (0.1, 0.8), (0.05, 0.94), (0.02, 0.97))  # alpha, beta
_PERCENT = 100.0  # arch's optimiser wants returns of the order of 1


def add_deviation(bars: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `deviation`: the forecast standard deviation of the log-return from a day to its label's exit.

    bars: date, asset, close, for every session. rows: data set rows of known exit; those whose split is `train` say
    where fitting ends. Raises InputError where a GARCH model does not fit.
    """
    fitted_until, close = rows.loc[rows["split"] == "train", "exit"].max(), closes(bars)
    parts = [
        own.assign(deviation=_deviation(close[asset], own, fitted_until, str(asset)))
        for asset, own in rows.groupby("asset", sort=False)
    ]
    return pd.concat(parts).loc[rows.index]


def exceedance_probability(train: pd.DataFrame, wanted: pd.DataFrame, relative: bool = False) -> np.ndarray:
    """P(label) of the wanted rows from `deviation` alone, learnt on the training rows.

    For a normal return of mean m, P(r > theta) = Phi((m - theta) / s): linear in 1 / s on the probit scale. The
    logit stands in for it, with intercept and slope fitted, which serves every threshold, both label prices and fat
    tails alike. relative: the threshold is the row's own, usual * sqrt(bars) (har.add_past), as that of a surprise.
    """
    inverse, wanted_inverse = (_threshold(rows, relative) / rows[["deviation"]].to_numpy() for rows in (train, wanted))
    centre, scale = inverse.mean(), inverse.std()
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit((inverse - centre) / scale, train["label"])
    return np.asarray(fitted.predict_proba((wanted_inverse - centre) / scale)[:, 1])


def log_forecast(train: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    """The forecast of task `volatility` for the wanted rows; all rows with `deviation`, and `bars` of har.add_past.

    A mean of variances lies above the mean of their logs that is asked for: intercept and slope are fitted (Mincer &
    Zarnowitz 1969).
    """
    log_train, log_wanted = (
        np.log(rows[["deviation"]].to_numpy() / np.sqrt(rows[["bars"]].to_numpy())) for rows in (train, wanted)
    )
    return least_squares(log_train, train["label"].to_numpy(), log_wanted)


def _threshold(rows: pd.DataFrame, relative: bool) -> np.ndarray | float:
    return rows[["usual"]].to_numpy() * np.sqrt(rows[["bars"]].to_numpy()) if relative else 1.0


def _deviation(close: pd.Series, rows: pd.DataFrame, fitted_until: pd.Timestamp, asset: str) -> np.ndarray:
    returns = _PERCENT * np.log(close).diff().dropna()
    fitted = _fit(returns.loc[:fitted_until])
    if fitted is None:
        raise InputError(
            f"baselines: GARCH(1,1) does not converge on the training returns of {asset} ({fitted_until:%Y-%m-%d} "
            "and before); give it a longer training split (dataset.split)"
        )
    mu, omega, alpha, beta = (fitted.params[name] for name in ("mu", "omega", "alpha[1]", "beta[1]"))
    variance = _garch(returns).fix(fitted.params).conditional_volatility ** 2
    next_variance = omega + alpha * (returns - mu) ** 2 + beta * variance
    sessions = close.index.get_indexer(rows["exit"]) - close.index.get_indexer(rows["date"])
    total = _sum_over_horizon(next_variance.loc[rows["date"]].to_numpy(), sessions, omega, alpha + beta)
    return np.sqrt(total) / _PERCENT


def _fit(returns: pd.Series) -> ARCHModelResult | None:
    """Maximum likelihood; None where no start converges.

    Of hundreds of symbols, arch's own starting point makes the optimiser stop short of its test for one or two, at the
    edge alpha + beta = 1. Of other points that it converges from, the one of the highest likelihood counts.
    """
    model, variance = _garch(returns), returns.var()
    own = model.fit(disp="off", show_warning=False)
    if own.convergence_flag == 0:
        return own
    starts = [np.array([returns.mean(), variance * (1 - a - b), a, b]) for a, b in _OTHER_STARTS]
    others = [model.fit(disp="off", show_warning=False, starting_values=start) for start in starts]
    converged = [found for found in others if found.convergence_flag == 0]
    return max(converged, key=lambda found: found.loglikelihood, default=None)


def _garch(returns: pd.Series) -> ARCHModel:
    return arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)


def _sum_over_horizon(next_variance: np.ndarray, sessions: np.ndarray, omega: float, persistence: float) -> np.ndarray:
    """Forecast variance of the next day to the variance of the next n days' sum.

    E[s_{t+k}] = v + p^(k-1) (s_{t+1} - v) with p = alpha + beta and v = omega / (1 - p); summed over k = 1..n.
    """
    total, step = np.zeros_like(next_variance), next_variance.copy()
    for k in range(sessions.max()):
        total += np.where(k < sessions, step, 0.0)
        step = omega + persistence * step
    return total
