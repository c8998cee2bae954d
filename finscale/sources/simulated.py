"""simulated: one market whose law is known, so that what a study finds can be checked against what is there.

    random_walk  r[t] = s[t] z[t], z standard normal; log s[t] is an AR(1) of its own (stochastic volatility; Taylor
                 1986). Given any past the return is symmetric about 0: no direction, of any horizon, is predictable,
                 though the size of moves is.
    planted      r[t] = s * sign[t] * m[t] with m half-normal and P(sign[t+1] = +1) = Phi(signal * f(z[t])),
                 z[t] = r[t] / s and f the normalised Hermite polynomial of odd degree 2 * complexity - 1.

In the planted market f is odd, so z[t] is exactly standard normal for every t. The law needs no more than the day's own
return, but a higher complexity turns more often and is harder to learn. Many symbols, and the market `teacher`, are in
finscale.sources.simulated_panel; the best loss that each market allows, in finscale.sources.simulated_bound.

Opens lie near the previous close, highs and lows around the day, volumes anywhere: they are noise and say nothing of
the next day's direction.
"""

from datetime import date

import numpy as np
import pandas as pd
from scipy.special import eval_hermitenorm, gammaln, ndtr

from finscale.calendar import exchange, sessions
from finscale.errors import InputError
from finscale.sources.config import SimulatedConfig

DEVIATION = 0.01  # of daily log-returns; in the random walk, at the median of volatility
PERSISTENCE, VOLATILITY_OF_VOLATILITY = 0.98, 0.1  # of log s, per day
FIRST_PRICE = 100.0
MEDIAN_VOLUME = 1e6
DECIMALS = 8  # of prices


def origin(config: SimulatedConfig) -> str:
    return ", ".join(f"{name} {value}" for name, value in config.model_dump().items())


def last_sessions(start: date, end: date, wanted: int) -> pd.DatetimeIndex:
    """The last trading days of a period. Raises InputError where it has fewer than are wanted."""
    calendar = exchange()
    if pd.Timestamp(end) > calendar.last_session:
        raise InputError(
            f"params.yaml: data.end = {end} lies beyond the exchange calendar, which knows sessions up to "
            f"{calendar.last_session:%Y-%m-%d}; choose an earlier day"
        )
    days = sessions(max(pd.Timestamp(start), calendar.first_session), pd.Timestamp(end))
    if len(days) < wanted:
        raise InputError(
            f"params.yaml: data.simulated.sessions = {wanted}, but there are only {len(days)} sessions from "
            f"data.start = {start} to data.end = {end}; lower it"
        )
    return days[-wanted:]


def simulate(config: SimulatedConfig, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Bars on these days: date, open, high, low, close, adj_close, volume."""
    rng = np.random.default_rng(config.seed)
    make = _random_walk if config.market == "random_walk" else _planted
    returns = make(config, len(days), rng)
    close = FIRST_PRICE * np.exp(np.cumsum(returns))
    before = np.append(FIRST_PRICE, close[:-1])
    open_ = before * np.exp(0.2 * DEVIATION * rng.standard_normal(len(days)))
    reach_up, reach_down = np.exp(0.5 * DEVIATION * np.abs(rng.standard_normal((2, len(days)))))
    prices = {
        "open": open_,
        "high": np.maximum(open_, close) * reach_up,
        "low": np.minimum(open_, close) / reach_down,
        "close": close,
        "adj_close": close,
    }
    volume = np.round(MEDIAN_VOLUME * np.exp(0.3 * rng.standard_normal(len(days))))
    rounded = {name: np.round(values, DECIMALS) for name, values in prices.items()}
    return pd.DataFrame({"date": days.astype("datetime64[ns]"), **rounded, "volume": volume})


def law(z: np.ndarray, complexity: int) -> np.ndarray:
    """f(z): the Hermite polynomial of degree 2 * complexity - 1; odd, mean 0 and variance 1 for standard normal z."""
    degree = 2 * complexity - 1
    return np.asarray(eval_hermitenorm(degree, z) / np.exp(gammaln(degree + 1) / 2))


def _random_walk(config: SimulatedConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    shocks = VOLATILITY_OF_VOLATILITY * rng.standard_normal(n)
    log_s = np.empty(n)
    state = shocks[0] / np.sqrt(1 - PERSISTENCE**2)  # from the stationary distribution
    for t in range(n):
        log_s[t] = state = PERSISTENCE * state + shocks[t]
    return DEVIATION * np.exp(log_s) * rng.standard_normal(n)


def _planted(config: SimulatedConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    size, draw = np.abs(rng.standard_normal(n)), rng.random(n)
    z = np.empty(n)
    z[0] = size[0] if draw[0] < 0.5 else -size[0]
    for t in range(1, n):
        up = draw[t] < ndtr(config.signal * law(z[t - 1], config.complexity))
        z[t] = size[t] if up else -size[t]
    return DEVIATION * z
