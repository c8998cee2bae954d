"""The lowest log-loss of next-day direction that any forecast of a simulated market can have on average, in nats."""

import numpy as np
from scipy.integrate import quad
from scipy.special import entr, ndtr

from finscale.calendar import exchange
from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import law
from finscale.sources.simulated_panel import simulate_panel

_SESSIONS, _FIRST = 2000, 300  # of a draw that the teacher's bound is averaged over
_SYMBOLS, _DRAWS = 400, 20  # at least so many symbols in all, at most so many draws


def best_log_loss(config: SimulatedConfig) -> float:
    """ln 2 for the random walk; for the planted law an integral over z, with an absolute error below 1e-8.

    For the teacher the mean entropy of its own chances on other days of the same symbols: an estimate, whose standard
    error is 0.001 for 300 symbols. On given rows `entropy` of their own chances is exact.
    """
    if config.market == "random_walk":
        return float(np.log(2))
    if config.market == "teacher":
        return _of_teacher(config)

    def weighted_entropy(z: float) -> float:
        p = ndtr(config.signal * law(np.array(z), config.complexity))
        return float(entropy(p) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))

    half, _ = quad(weighted_entropy, 0, 12, limit=1000, epsabs=1e-9)  # f is odd: the two halves are alike
    return 2 * half


def entropy(chance: np.ndarray) -> np.ndarray:
    """What a forecast that knows the chance loses in expectation, row by row."""
    return np.asarray(entr(chance) + entr(1 - chance))


def _of_teacher(config: SimulatedConfig) -> float:
    draws, days = min(_DRAWS, -(-_SYMBOLS // config.symbols)), exchange().sessions[-_SESSIONS:]
    others = [simulate_panel(config, days, draw).chance[_FIRST:] for draw in range(1, draws + 1)]
    return float(entropy(np.concatenate(others)).mean())
