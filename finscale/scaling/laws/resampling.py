"""Resamples of a study: which runs count how often (seeds), and on which test days (blocks).

Shapes: R resamples, n runs, T test days.
"""

import math

import numpy as np
from scipy import stats

from finscale.evaluation.bootstrap import draw_days


def run_weights(runs: int, resamples: int, seed: int = 0) -> np.ndarray:
    """(R, n) counts of the pairs bootstrap: runs are drawn with replacement, whatever their size (Efron 1979)."""
    return np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), size=resamples).astype(float)


def seed_weights(sizes: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """(R, n) weights that redraw the seeds within each size, so that every resample holds every size.

    sizes: (n,) labels. Of m seeds, m - 1 are drawn and weighted m / (m - 1): drawing all m would make the variance of
    a mean too small by (m - 1) / m, a third for 3 seeds (Rao and Wu 1988). A size with one seed stays as it is: its
    scatter cannot be seen from within.
    """
    generator = np.random.default_rng(seed)
    weights = np.ones((resamples, len(sizes)))
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        if (m := len(members)) > 1:
            drawn = generator.multinomial(m - 1, np.full(m, 1 / m), size=resamples)
            weights[:, members] = drawn * m / (m - 1)
    return weights


def block_losses(
    daily_losses: np.ndarray, block_length: int, resamples: int, seed: int = 0, rows: np.ndarray | None = None
) -> np.ndarray:
    """(R, n) mean losses over redrawn blocks of test days: the same days for every run, as they share the test set.

    daily_losses: (n, T), the loss of each run on each day, in order of time. rows: (T,) the weight of each day, None:
    the same for all. Together with seed_weights of another random seed this covers the choice of seeds and of test
    days.
    """
    days = np.arange(daily_losses.shape[1])
    weights = draw_days(days, block_length, resamples, seed).counts
    weights = weights if rows is None else weights * rows
    return np.asarray(weights @ daily_losses.T / weights.sum(axis=1, keepdims=True))


def smoothed_losses(fitted: np.ndarray, losses: np.ndarray, unknowns: int, resamples: int, seed: int = 0) -> np.ndarray:
    """(R, n) losses about the fitted curve, their residuals redrawn with a little noise (Silverman and Young 1987).

    fitted, losses: (n,). For surface.bootstrap_loss_law with weights of 1. A Huber fit with a delta below the scatter
    is all but a median: its variance depends on the density of residuals at 0, which redrawn runs (run_weights) hold
    only as lumps, so that the intervals of 50 runs cover 98 to 99 times in a hundred instead of 95; a smooth density
    mends that (De Angelis, Hall and Young 1993). Bandwidth: Silverman's (1986, eq. 3.31), the scatter left unchanged
    by it, and raised by sqrt(n / (n - P)) for the unknowns fitted. Assumes the same relative scatter at all sizes.
    expanded_interval widens once more: of a median's residuals P are 0 by the fit, which makes the density look too
    high (McKean and Schrader 1987); that this is enough is measured (tests/bench/laws.py), not derived.
    """
    generator, n = np.random.default_rng(seed), len(losses)
    residuals = np.log(losses / fitted)
    residuals = (residuals - residuals.mean()) * math.sqrt(n / (n - unknowns))
    scatter, quartiles = residuals.std(), np.subtract(*np.quantile(residuals, [0.75, 0.25])) / 1.34
    bandwidth = 0.9 * min(scatter, quartiles) * n**-0.2
    drawn = generator.choice(residuals, (resamples, n)) + bandwidth * generator.standard_normal((resamples, n))
    return np.asarray(fitted * np.exp(drawn * scatter / math.hypot(scatter, bandwidth)))


def expanded_interval(
    resampled: np.ndarray, runs: int, unknowns: int, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the percentile interval of each column, widened for a small study.

    resampled: (R, P). The scatter about a curve with `unknowns` fitted to it is too small by sqrt((n - P) / n), and
    the percentile interval is as narrow as one with the normal quantile. Hesterberg (2015, section 5.3) asks for
    the percentiles that undo both; his case is a mean, with one unknown. For hundreds of runs nothing changes.
    """
    spare = runs - unknowns
    wide = math.sqrt(runs / spare) * stats.t.ppf((1 + confidence) / 2, spare)
    tail = stats.norm.cdf(-wide)
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return low, high
