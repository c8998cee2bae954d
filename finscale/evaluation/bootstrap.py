"""Circular block bootstrap over days (Politis and Romano 1992), with intervals for few blocks.

The variance of a bootstrapped mean is Bartlett's estimate of the long-run variance with the block length l as bandwidth
(Kuensch 1989). Two things make its plain percentile interval too narrow:

1. Blocks cut dependence. Labels that overlap over h days have autocorrelations 1 - j/h; blocks of l days keep 1 - j/l
   of each, and of the variance about 1 - h/3l: two thirds at l = h. Politis and White's (2004) length makes the mean
   square error of the variance small, which is shorter than what a test needs (Lazarus, Lewis, Stock and Watson 2018).
2. Few blocks estimate a variance badly. With b = l / days the estimate is, of independent days, 1 - b of the variance
   on average and scatters as if it had 3 / 2b degrees of freedom (Priestley 1981, chapter 6), so that the quantile
   is not the normal one but t(3 / 2b) / sqrt(1 - b): within 2 % of Kiefer and Vogelsang's (2005) for b up to 0.2.
   Percentiles further out undo both, as Hesterberg (2015, section 5.3) does for a mean of few rows.

docs/intervals.md has what remains, measured on random walks.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from scipy import special

from finscale.config import Horizon

# arch takes two seconds to import, with statsmodels and matplotlib: a length is asked of it by `evaluate` alone. Blocks
# are drawn here as it draws them, to the last bit (a test holds the two equal).

MIN_BLOCKS = 3  # fewer tell nothing of their own scatter
_AUTOMATIC_FROM = 11  # days: of fewer, arch's choice has no correlations to take
_WEEK = 5  # sessions: the longest exit of the weekly horizon
_TEST_RULE = 1.3  # block of a test: 1.3 sqrt(days), Lazarus et al. (2018), eq. 3 ...
_RULE_DEPENDENCE = 2 * 0.7 / (1 - 0.7**2)  # ... for a first-order autoregression of 0.7: sum |j| rho_j / sum rho_j


@dataclass(frozen=True)
class Draws:
    """Resamples of days. All rows of a day are drawn together, so that a panel costs no more than its days do.

    counts: (R, T) how often each day is drawn in each resample; day: (n,) the number of each row's day, from 0 on.
    """

    counts: np.ndarray
    day: np.ndarray

    @classmethod
    def of_rows(cls, counts: np.ndarray) -> "Draws":
        """Rows that are days: (R, n) counts."""
        return cls(counts, np.arange(counts.shape[1]))

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def single(self) -> bool:
        """Whether rows are days, in order."""
        return np.array_equal(self.day, np.arange(self.counts.shape[1]))

    def of_days(self, rows: np.ndarray) -> np.ndarray:
        """(T,) sums of a per-row quantity over the rows of each day."""
        return rows if self.single else np.bincount(self.day, rows, self.counts.shape[1])

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """(R,) sum of a per-row quantity over what each resample has drawn. rows: (n,)."""
        return np.asarray(self.counts @ self.of_days(rows))

    @cached_property
    def sizes(self) -> np.ndarray:
        """(R,) how many rows each resample has drawn."""
        return self.sums(np.ones(len(self.day)))


def horizon_sessions(horizon: Horizon) -> int:
    """Sessions over which a label's outcome is spread, at most."""
    return _WEEK if horizon == "weekly" else horizon


def choose_block_length(daily_loss: np.ndarray, horizon_days: int) -> int:
    """Days per block: long enough for tests, at least Politis and White's choice for this series.

    Lazarus et al.'s rule grows as the root of the dependence; that of labels over h days is (h^2 - 1) / 3h, more than
    what the rule was made for from 9 days on. At least MIN_BLOCKS blocks remain.
    """
    days = len(daily_loss)
    overlap = (horizon_days**2 - 1) / (3 * horizon_days)
    block = _TEST_RULE * math.sqrt(days * max(1.0, overlap / _RULE_DEPENDENCE))
    if days >= _AUTOMATIC_FROM and np.ptp(daily_loss) > 0:  # a constant series has no dependence to keep
        from arch.bootstrap import optimal_block_length

        automatic = float(optimal_block_length(daily_loss)["circular"].iloc[0])
        block = max(block, automatic) if math.isfinite(automatic) else block
    return longest_block(math.ceil(block), days)


def longest_block(block_length: int, days: int) -> int:
    """The block, or as much of it as leaves MIN_BLOCKS of them."""
    return max(1, min(block_length, days // MIN_BLOCKS))


def enclosed_share(confidence: float, block_length: int, days: int) -> float:
    """Share of the resamples that an interval has to enclose, above `confidence` the fewer blocks there are."""
    b = block_length / days
    if b >= 1:
        return 1.0
    quantile = special.stdtrit(1.5 / b, (1 + confidence) / 2) / math.sqrt(1 - b)
    return float(1 - 2 * special.ndtr(-quantile))


def resample(days: np.ndarray, block_length: int, resamples: int, confidence: float, seed: int) -> tuple[Draws, float]:
    """Resamples and the share that their intervals enclose. days: one value per row, as in draw_days."""
    count = len(np.unique(days))
    block = longest_block(block_length, count)
    return draw_days(days, block, resamples, seed), enclosed_share(confidence, block, count)


def draw_days(days: np.ndarray, block_length: int, resamples: int, seed: int) -> Draws:
    """Resamples of blocks of days. days: one value per row.

    The last day is followed by the first, so that days at the ends are drawn as often as those between.
    """
    unique, day_of_row = np.unique(days, return_inverse=True)
    return Draws(_counts(len(unique), min(block_length, len(unique)), resamples, seed), day_of_row)


@lru_cache(8)  # 11 MB each for 2,000 resamples of 700 days; several predictions share one
def _counts(days: int, block_length: int, resamples: int, seed: int) -> np.ndarray:
    """(R, T) how often each day is drawn."""
    random, blocks = np.random.default_rng(seed), math.ceil(days / block_length)
    counts = []
    for _ in range(resamples):
        first = random.integers(days, size=blocks)
        drawn = (first[:, None] + np.arange(block_length)).ravel()[:days] % days
        counts.append(np.bincount(drawn, minlength=days))
    drawn_RT = np.asfortranarray(counts, dtype=float)  # the layout decides a sum's last bit
    drawn_RT.setflags(write=False)
    return drawn_RT


def daily_means(values: np.ndarray, days: pd.Series) -> pd.Series:
    """The mean over each day's rows, in order of time, indexed by day."""
    return pd.Series(values).groupby(days.to_numpy()).mean()


def percentile_interval(resampled: np.ndarray, enclosed: float) -> tuple[float, float]:
    """Ends of the middle share of the resamples in which the quantity is defined (not NaN)."""
    tail = (1 - enclosed) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return float(low), float(high)
