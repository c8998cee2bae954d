"""The law of market `teacher`: a fixed random network over how a symbol changed in the last days.

Its inputs are the changes, from each of the last DAYS sessions to the next, of three features of tier a20 with
`features.levels: relative`: how far the close lies from its trend, whether bars closed high or low on how much volume,
and on how much of the volume the price rose. So a model on that tier is shown everything that the law depends on. They
are kept bar by bar here, since tomorrow's return depends on today's; from some 200 bars on they equal what
finscale.indicators makes of the prices (tests/unit/test_simulated_panel.py). Changes, not levels: levels last for
weeks, and a law that follows them drives a price into trends without end.

The network has two hidden layers of tanh and no biases: an odd function, so that rises and falls are equally likely
over all, and the best constant forecast loses ln 2. Its weights are drawn once and never fitted. How closely a model
can follow it is a question of size and of data, as with the random teachers of Bahri et al. (2021, "Explaining neural
scaling laws", arXiv 2102.06701).

Shapes: S symbols, K quantities, I inputs (DAYS * K), H hidden units, G networks (1, or one per symbol), M symbols of a
network.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

QUANTITIES = ("dema_distance_9", "adosc_ratio_3_10", "obv_change_20")
DAYS = 4
_HIDDEN = 64
_TREND, _FAST, _SLOW, _BALANCE = 9, 3, 10, 20  # bars of the DEMA, of the Chaikin oscillator, of on-balance volume
# Standard deviations of their daily changes in a market without a law whose log returns have the deviation 0.01.
_UNITS = np.array([[0.0073], [0.22], [0.074]])


@dataclass(frozen=True)
class Bar:
    """One session of all symbols, each (S,)."""

    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


class Quantities:
    """QUANTITIES of all symbols, bar after bar."""

    def __init__(self, first_S: np.ndarray) -> None:
        """first_S: the prices before the first bar."""
        self._close = self._trend = self._trend_of_trend = first_S
        self._line = self._fast = self._slow = np.zeros(len(first_S))  # accumulation/distribution, and its averages
        self._volumes, self._signed = np.ones((2, _BALANCE, len(first_S)))  # oldest first

    def after(self, bar: Bar) -> np.ndarray:
        """(K, S) once this bar has closed."""
        self._trend = _average(self._trend, bar.close, _TREND)
        self._trend_of_trend = _average(self._trend_of_trend, self._trend, _TREND)
        self._line = self._line + (2 * bar.close - bar.high - bar.low) / (bar.high - bar.low) * bar.volume
        self._fast, self._slow = _average(self._fast, self._line, _FAST), _average(self._slow, self._line, _SLOW)
        self._volumes = np.vstack([self._volumes[1:], bar.volume])
        self._signed = np.vstack([self._signed[1:], np.sign(bar.close - self._close) * bar.volume])
        self._close = bar.close
        return np.stack([
            (bar.close - (2 * self._trend - self._trend_of_trend)) / bar.close,
            (self._fast - self._slow) / self._volumes[-_SLOW:].mean(axis=0),
            self._signed.sum(axis=0) / self._volumes.sum(axis=0),
        ])  # fmt: skip


class Teacher:
    """The chance of a rise on the next session, symbol by symbol.

    rngs: of the networks: one for all symbols, or one each. signal: about the standard deviation of the log odds.
    complexity: the standard deviation of what the first layer's tanh is given: how far the law is from a straight line.
    """

    def __init__(self, rngs: list[np.random.Generator], symbols: int, signal: float, complexity: float) -> None:
        inputs = DAYS * len(QUANTITIES)
        first = [complexity / np.sqrt(inputs) * rng.standard_normal((_HIDDEN, inputs)) for rng in rngs]
        second = [2 / np.sqrt(_HIDDEN) * rng.standard_normal((_HIDDEN, _HIDDEN)) for rng in rngs]
        last = [signal / np.sqrt(_HIDDEN) * rng.standard_normal((1, _HIDDEN)) for rng in rngs]
        self._first, self._second, self._last = np.stack(first), np.stack(second), np.stack(last)
        self._known_KS = np.zeros((len(QUANTITIES), symbols))
        self._recent_GIM = np.zeros((len(rngs), inputs, symbols // len(rngs)))

    def after(self, quantities_KS: np.ndarray) -> np.ndarray:
        """(S,) the chance of a rise, given the quantities of the newest bar and those of earlier calls."""
        newest_KS, self._known_KS = (quantities_KS - self._known_KS) / _UNITS, quantities_KS
        newest_GKM = newest_KS.reshape(len(QUANTITIES), len(self._recent_GIM), -1).swapaxes(0, 1)
        self._recent_GIM = np.concatenate([newest_GKM, self._recent_GIM[:, : -len(QUANTITIES)]], axis=1)
        hidden = np.tanh(self._second @ np.tanh(self._first @ self._recent_GIM))
        return np.asarray(expit(self._last @ hidden).ravel())


def _average(known: np.ndarray, value: np.ndarray, period: int) -> np.ndarray:
    """The exponential moving average with one value more."""
    return known + 2 / (period + 1) * (value - known)
