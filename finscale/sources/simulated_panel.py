"""Many simulated symbols at once: a common factor, a volatility of its own for each, and one law or a law for each.

    z[t, s] = sqrt(common) f[t] + sqrt(1 - common) e[t, s]     standard normal; `common` of its variance is the market's
    r[t, s] = scale[s] |z[t, s]| (+1 where Phi(z[t, s]) > 1 - p[t-1, s], else -1)     the session's log return

where p[t-1, s] is the chance of a rise that the law gives at the close before. So a rise has exactly that chance,
whatever the factor does, and the size of a move depends on no law; where p is one half, r is scale * z. What the law
says enters a return by its sign alone: sums that another processor rounds otherwise change no price.

    random_walk  p = 1/2; scale[t, s] is a stochastic volatility, as for one symbol
    planted      p = Phi(signal * f(r / scale)), as for one symbol; a law of its own: with the sign of a coin's toss
    teacher      p of a random network (finscale.sources.simulated_teacher); a law of its own: a network of its own

Each symbol and the factor draw from streams of their own: SIM007 is the same among 10 symbols and among 300. A panel of
300 symbols and 2,000 sessions takes two seconds.

Shapes: T sessions, S symbols.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import (
    DECIMALS,
    DEVIATION,
    FIRST_PRICE,
    MEDIAN_VOLUME,
    PERSISTENCE,
    VOLATILITY_OF_VOLATILITY,
    law,
    simulate,
)
from finscale.sources.simulated_teacher import Bar, Quantities, Teacher

_SPREAD = 0.3  # standard deviation of log scale over symbols
_LAW, _SCALE, _FACTOR, _SYMBOL = range(4)  # streams of random numbers


@dataclass(frozen=True)
class Draws:
    """All that is random but the law: z, the noise of bars in units of scale, volume, and scale itself, each (T, S)."""

    z: np.ndarray
    gap: np.ndarray
    up: np.ndarray
    down: np.ndarray
    volume: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Panel:
    """chance: (T, S), at the close of each session, that the next one closes higher. bars: by name, (T, S)."""

    names: tuple[str, ...]
    days: pd.DatetimeIndex
    bars: dict[str, np.ndarray]
    chance: np.ndarray

    def frames(self) -> dict[str, pd.DataFrame]:
        """Bars of each symbol: date, open, high, low, close, adj_close, volume."""
        days = self.days.astype("datetime64[ns]")
        return {
            name: pd.DataFrame({"date": days} | {column: values[:, at] for column, values in self.bars.items()})
            for at, name in enumerate(self.names)
        }


def simulate_symbols(config: SimulatedConfig, days: pd.DatetimeIndex) -> dict[str, pd.DataFrame]:
    """Bars of every symbol of a market, by name."""
    if config.symbols == 1 and config.market != "teacher":
        return {"SIM": simulate(config, days)}
    return simulate_panel(config, days).frames()


def simulate_panel(config: SimulatedConfig, days: pd.DatetimeIndex, draw: int = 0) -> Panel:
    """A market of many symbols on these days, or the teacher's of one. draw: others are other days of the same law."""
    draws = _draw(config, len(days), draw)
    with threadpool_limits(limits=1):  # its matrices are small
        bars, chance = _walk(config, draws)
    told = {name: np.round(values, DECIMALS) for name, values in bars.items()}
    return Panel(config.names, days, told | {"adj_close": told["close"], "volume": draws.volume}, chance)


def _walk(config: SimulatedConfig, draws: Draws) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Open, high, low and close, and the chance of a rise after each session, all (T, S)."""
    chance_after = _law_of(config)
    bars = {name: np.empty_like(draws.z) for name in ("open", "high", "low", "close")}
    chance = np.empty_like(draws.z)
    log_price, p = np.full(config.symbols, np.log(FIRST_PRICE)), np.full(config.symbols, 0.5)
    for t, (z, scale) in enumerate(zip(draws.z, draws.scale, strict=True)):
        move = np.abs(z) * np.where(ndtr(z) > 1 - p, 1, -1)
        before, log_price = np.exp(log_price), log_price + scale * move
        close, open_ = np.exp(log_price), before * np.exp(0.2 * scale * draws.gap[t])
        high = np.maximum(open_, close) * np.exp(0.5 * scale * np.abs(draws.up[t]))
        low = np.minimum(open_, close) / np.exp(0.5 * scale * np.abs(draws.down[t]))
        for name, values in zip(bars, (open_, high, low, close), strict=True):
            bars[name][t] = values
        p = chance[t] = chance_after(move, Bar(high, low, close, draws.volume[t]))
    return bars, chance


def _draw(config: SimulatedConfig, n: int, draw: int) -> Draws:
    """Each symbol, and the factor, from a stream of their own."""
    factor = np.random.default_rng([config.seed, _FACTOR, draw]).standard_normal(n)
    own = np.empty((n, 5, config.symbols))
    scale = np.empty((n, config.symbols))
    for at in range(config.symbols):
        rng = np.random.default_rng([config.seed, _SYMBOL, draw, at])
        level = DEVIATION * np.exp(_SPREAD * np.random.default_rng([config.seed, _SCALE, at]).standard_normal())
        own[:, :, at] = rng.standard_normal((n, 5))
        scale[:, at] = level * (np.exp(_log_volatility(rng, n)) if config.market == "random_walk" else 1.0)
    z = np.sqrt(config.common) * factor[:, None] + np.sqrt(1 - config.common) * own[:, 0]
    volume = np.round(MEDIAN_VOLUME * np.exp(0.3 * own[:, 4]))
    return Draws(z, own[:, 1], own[:, 2], own[:, 3], volume, scale)


def _log_volatility(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) of an AR(1) with mean 0, from its stationary distribution on."""
    shocks = VOLATILITY_OF_VOLATILITY * rng.standard_normal(n)
    shocks[0] /= np.sqrt(1 - PERSISTENCE**2)
    return np.asarray(lfilter([1.0], [1.0, -PERSISTENCE], shocks))


def _law_of(config: SimulatedConfig) -> Callable[[np.ndarray, Bar], np.ndarray]:
    """The chance of a rise after a session, (S,), from its returns in units of their scale, (S,), and its bar."""
    if config.market == "random_walk":
        return lambda z, bar: np.full(len(z), 0.5)
    streams = [0] if config.law == "shared" else range(config.symbols)
    rngs = [np.random.default_rng([config.seed, _LAW, at]) for at in streams]
    if config.market == "planted":
        tosses = [1 if config.law == "shared" else rng.choice([-1, 1]) for rng in rngs]
        signals = config.signal * np.array(tosses)
        return lambda z, bar: np.asarray(ndtr(signals * law(z, config.complexity)))
    quantities = Quantities(np.full(config.symbols, FIRST_PRICE))
    teacher = Teacher(rngs, config.symbols, config.signal, config.complexity)
    return lambda z, bar: teacher.after(quantities.after(bar))
