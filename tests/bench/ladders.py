"""Simulated ladders: sizes and seeds on the same test days, with every kind of scatter that real ones have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from finscale.scaling.laws.contrast import Runs

HORIZON = 5  # labels that overlap over five days
_COMMON = 0.5  # scatter of a day's loss about its mean that all models share, relative
_OWN = 0.05  # ... and that a run has alone
_PERSISTENCE = 0.5  # first-order autocorrelation of day effects, before labels overlap
DECADE = float(np.log(10))


@dataclass(frozen=True)
class Ladder:
    """One kind of study. Scatter is of log loss.

    smallest_noise, largest_noise: of a run at the ends of the ladder, geometric between. seed_slope: of the exponent by
    seed, the same seed at all sizes. day_slope: by how much the mean of the test days' own exponents misses the
    long-run one. size_effect: of all runs of a size together.
    """

    sizes: int = 5
    seeds: int = 3
    days: int = 750
    decades: float = 2.0
    smallest_noise: float = 0.01
    largest_noise: float = 0.01
    seed_slope: float = 0.0
    day_slope: float = 0.0
    size_effect: float = 0.0

    def x(self) -> np.ndarray:
        """Log size of each run, seeds of a size together."""
        return np.repeat(np.log(1e4) + np.linspace(0, self.decades * DECADE, self.sizes), self.seeds)

    def standard_error(self) -> float:
        """Of alpha-hat, exactly: what an oracle would use."""
        x = self.x()[:: self.seeds] - self.x().mean()
        square = float(x @ x)
        noise = self._noise() ** 2 / self.seeds + self.size_effect**2
        own = (_OWN**2 / self.days / self.seeds) / square
        return float(np.sqrt((x**2 @ noise) / square**2 + own + self.seed_slope**2 / self.seeds + self.day_slope**2))

    def _noise(self) -> np.ndarray:
        return np.geomspace(self.smallest_noise, self.largest_noise, self.sizes)

    def draw(self, alpha: float, seed: int) -> tuple[np.ndarray, Runs]:
        """Sizes (n,) and the runs of one study in which loss falls as size ** -alpha."""
        generator, x = np.random.default_rng(seed), self.x()
        centred, shape = x - x.mean(), (self.sizes, self.seeds)
        effects = generator.normal(size=shape) * self._noise()[:, None]
        effects += self.size_effect * generator.normal(size=(self.sizes, 1))
        effects -= self.seed_slope * generator.normal(size=(1, self.seeds)) * centred.reshape(shape)
        means = 0.6 * np.exp(-alpha * (x - x[0]) + effects.ravel())
        common = _COMMON * self._day_effects(generator)
        slope = self.day_slope * np.sqrt(self.days) * (1 - _PERSISTENCE) * self._day_effects(generator)
        own = _OWN * generator.normal(size=(len(x), self.days))
        daily = means[:, None] * (1 + common - slope * centred[:, None] + own)
        seeds = np.tile(np.arange(self.seeds), self.sizes)
        return np.exp(x), Runs(daily, np.repeat(np.arange(self.sizes), self.seeds), seeds, HORIZON)

    def _day_effects(self, generator: np.random.Generator) -> np.ndarray:
        """(T,): an autoregression of innovations with unit variance, averaged over the days that a label spans."""
        series = lfilter([1], [1, -_PERSISTENCE], generator.normal(size=self.days + 50 + HORIZON))
        return np.convolve(series, np.full(HORIZON, 1 / HORIZON), "valid")[-self.days :]


SCENARIOS = {
    "equal noise": Ladder(),
    "noise rises with size": Ladder(smallest_noise=0.004, largest_noise=0.025),
    "slope by seed, 0.01 a decade": Ladder(seed_slope=0.01 / DECADE),
    "slope of test days, 0.002": Ladder(day_slope=0.002),
    "slope of test days, 0.004": Ladder(day_slope=0.004),
    "size effects, 0.0025": Ladder(size_effect=0.0025),
    "size effects, 0.005": Ladder(size_effect=0.005),
    "all at once": Ladder(
        smallest_noise=0.004, largest_noise=0.02, seed_slope=0.005 / DECADE, day_slope=0.003, size_effect=0.0025
    ),
}
DESIGNS = ((5, 3), (4, 3), (5, 2), (6, 5))


def cells(seeds: int, run_noise: Sequence[float], day_noise: Sequence[float], generator: np.random.Generator) -> Runs:
    """Cells of equal loss, each with these seeds, on 500 days.

    Of each cell, run_noise: of a run's log loss, 0 for a baseline, which is the same in all runs. day_noise: by how
    much the mean of the test days moves it.
    """
    days, cell = 500, np.repeat(np.arange(len(run_noise)), seeds)
    means = 0.6 * np.exp(np.asarray(run_noise)[cell] * generator.normal(size=len(cell)))
    common, tilt = generator.normal(size=(2, days)) * [[_COMMON], [np.sqrt(days)]]
    daily = means[:, None] * (1 + common + np.asarray(day_noise)[cell, None] * tilt)
    return Runs(daily, cell, np.tile(np.arange(seeds), len(run_noise)))


def design(scenario: str, sizes: int, seeds: int) -> Ladder:
    return replace(SCENARIOS[scenario], sizes=sizes, seeds=seeds)
