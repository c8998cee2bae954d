"""The interval of any contrast of runs, over seeds, test days and misfit together.

A contrast is sum_r c_r y_r, y_r the log (or plain) mean test loss of run r: an exponent is one (c_r = -(x_r - mean x) /
Sxx), so is a forecast, an interaction of two axes, or the difference of two models in one cell. Its variance has parts
that no single resampling sees, so each is estimated by the rows that show it, and they are added:

1. Seeds. Residuals about the mean of their cell (size), summed over the cells of one seed before they are squared
   (Liang and Zeger 1986): a seed that is better at all sizes, or has a slope of its own, counts as one draw, and the
   noise may differ by size. Enlarged by m / (m - 1) for m seeds in a cell, which makes it unbiased for independent runs
   (Rao and Wu 1988), with the degrees of freedom of Bell and McCaffrey (2002): of crossed seeds their number less one,
   when it is Student's t of the slopes per seed.
2. Misfit. The mean square of cell means about the model, degrees of freedom cells - unknowns. Sizes scatter about a
   line for reasons that more seeds do not average out (the shape solved for, a lucky batch size).
3. Days. All runs are tested on the same days, so a day that favours large models favours them in every run. The mean of
   the contrast's influence series (the derivative of the contrast by each day's weight, Hampel 1974) has the variance
   that redrawn blocks of days would give it: Bartlett's, without the noise of finitely many draws. Block length and
   degrees of freedom are those of finscale/evaluation/bootstrap.py.

Seed noise is in 1 and 2 both, and what a run does on its own on some days in 1 and 3: the sum errs to the wide side
(pigeonhole bootstraps do too: Owen 2007). The quantile is Student's with Satterthwaite's (1946) degrees of freedom.
Where no model can misfit, nothing is counted twice and two seeds are all there is of part 1: Satterthwaite's degrees,
estimated from the parts, are then too many too often. There each part has its own quantile (Cochran 1964): half^2 = sum
t(d_i)^2 v_i, and the p-value is that at which half is the value. tests/bench/laws.py measures how often such intervals
hold. A cell with one run beside repeated ones has their pooled scatter, a part of its own; a model's misfit shows it.

Shapes: n runs, T test days, K cells, P unknowns of the model.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from finscale.errors import InputError
from finscale.evaluation.bootstrap import choose_block_length
from finscale.scaling.laws.checks import check_confidence, positive

_LEAST_LOG_P = -200.0  # p-values below exp of this are 0
_ROUNDING = 1e-12  # standard errors below this share of the values are rounding


@dataclass(frozen=True)
class Runs:
    """Runs that were tested on the same days.

    daily: (n, T) mean loss of each run on each day, in order of time; cells: (n,) what is repeated over seeds, such as
    the size; seeds: (n,); rows: (T,) how many rows a day has, its weight in the mean; None: the same for all.
    horizon_days: over how many days a label reaches, so that blocks keep the dependence of labels that overlap.
    """

    daily: np.ndarray
    cells: np.ndarray
    seeds: np.ndarray
    horizon_days: int = 1
    rows: np.ndarray | None = None

    def shares(self) -> np.ndarray:
        """(T,) what each day weighs in the mean loss."""
        days = np.ones(self.daily.shape[1]) if self.rows is None else np.asarray(self.rows, float)
        return np.asarray(days / days.sum())

    def losses(self) -> np.ndarray:
        """(n,) mean test loss."""
        return np.asarray(self.daily @ self.shares())

    def only(self, chosen: np.ndarray) -> "Runs":
        """Some of the runs. chosen: (n,) of booleans."""
        return replace(self, daily=self.daily[chosen], cells=self.cells[chosen], seeds=self.seeds[chosen])


@dataclass(frozen=True)
class Estimate:
    """A contrast with its interval.

    seeds, misfit, days: the standard error that each part gives, None where the runs cannot show it (one seed; a model
    that fits every cell). degrees: of freedom, Satterthwaite's. parts: (variance, degrees of freedom) of what has a t
    quantile of its own. block_length: days.
    """

    value: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees: float
    seeds: float | None
    misfit: float | None
    days: float
    block_length: int
    parts: tuple[tuple[float, float], ...] = ()

    def interval(self, confidence: float) -> tuple[float, float]:
        """Ends at another confidence."""
        half = _half(self.parts, (1 - check_confidence(confidence)) / 2)
        return self.value - half, self.value + half

    def detectable(self, power: float = 0.8, confidence: float = 0.95) -> float:
        """The true value that this design tells from zero in `power` of all repetitions (Cohen 1988), as t + t."""
        tails = ((1 - check_confidence(confidence)) / 2, 1 - power)
        return sum(_half(self.parts, tail) for tail in tails)


def estimate(
    runs: Runs, coefficients: np.ndarray, model: np.ndarray | None = None, log: bool = True, confidence: float = 0.95
) -> Estimate:
    """sum_r coefficients[r] y_r with its interval.

    coefficients: (n,). model: (n, P) columns that the means of the cells should lie on, None: a mean per cell. log: of
    losses, so that contrasts are of relative losses. Raises InputError where shapes differ, a loss is not finite (or
    not positive, with log), or there are fewer than 3 days.
    """
    check_confidence(confidence)
    coefficients = np.asarray(coefficients, float)
    _check(runs, coefficients, log)
    means, shares = runs.losses(), runs.shares()
    y = np.log(means) if log else means
    slope = coefficients / means if log else coefficients  # of the contrast by each run's mean loss
    influence = shares.size * shares * (slope @ (runs.daily - means[:, None]))
    # Of days on which all runs lose the same, rounding is left: it has no dependence to keep.
    influence = np.where(np.abs(influence) > _ROUNDING * (np.abs(slope) @ np.abs(means)), influence, 0.0)
    length = choose_block_length(influence, runs.horizon_days)
    parts = {
        "seeds": _seeds(runs, coefficients, y),
        "single": _single_runs(runs.cells, coefficients, y) if model is None else None,
        "misfit": None if model is None else _misfit(runs.cells, coefficients, y, model),
        "days": days_variance(influence, length),
    }
    known = [part for part in parts.values() if part is not None]
    variance = sum(part[0] for part in known)
    value, weights = float(coefficients @ y), np.abs(coefficients)
    rounding = float(_ROUNDING * weights @ np.maximum(np.abs(y), 1)) ** 2
    if variance <= rounding:
        return _exact(value, rounding, runs)
    degrees = variance**2 / sum(part[0] ** 2 / part[1] for part in known)
    error = float(np.sqrt(variance))
    own = tuple(known) if model is None else ((variance, degrees),)
    half = _half(own, (1 - confidence) / 2)
    of_seeds = [part[0] for name, part in parts.items() if part is not None and name in ("seeds", "single")]
    misfit = parts["misfit"]
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        p_value=_p_value(own, value),
        standard_error=error,
        degrees=float(degrees),
        seeds=float(np.sqrt(sum(of_seeds))) if of_seeds else None,
        misfit=None if misfit is None else float(np.sqrt(misfit[0])),
        days=float(np.sqrt(parts["days"][0])) if parts["days"] else 0.0,
        block_length=length,
        parts=own,
    )


def _half(parts: tuple[tuple[float, float], ...], tail: float) -> float:
    """Half-width of an interval that leaves `tail` on either side: the quantiles of all parts, squared and added."""
    return float(np.hypot.reduce([stats.t.isf(tail, degrees) * np.sqrt(part) for part, degrees in parts], initial=0.0))


def _p_value(parts: tuple[tuple[float, float], ...], value: float) -> float:
    """Twice the tail at which _half is the value: p < 0.05 where the interval of 95 % leaves out zero, and only there.

    Of one part it is Student's.
    """

    def beyond(log_p: float) -> float:
        return _half(parts, float(np.exp(log_p)) / 2) - abs(value)

    if value == 0:
        return 1.0
    if len(parts) == 1:
        return float(2 * stats.t.sf(abs(value) / np.sqrt(parts[0][0]), parts[0][1]))
    return 0.0 if beyond(_LEAST_LOG_P) < 0 else float(np.exp(brentq(beyond, _LEAST_LOG_P, 0.0)))


def days_variance(influence: np.ndarray, length: int) -> tuple[float, float]:
    """Variance of the mean of the series over redrawn blocks of days, and its degrees of freedom.

    influence: (T,) with mean 0; length: days per block. Blocks run around the end, as in the circular block bootstrap,
    whose variance this is: the mean square of all block means by length / T (Politis and Romano 1992). Blocks that are
    not short beside the series understate it by 1 - b and scatter as 1.5 / b degrees of freedom
    (evaluation/bootstrap.py).
    """
    around = np.concatenate([[0.0], np.cumsum(np.concatenate([influence, influence[: length - 1]]))])
    means = (around[length:] - around[:-length]) / length
    share = length / len(influence)
    return float(np.mean(means**2) * share / (1 - share)), 1.5 / share


def _seeds(runs: Runs, coefficients: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Part 1: variance and degrees of freedom, None where no cell was repeated.

    With e = y less the mean of its cell, seed g moves the contrast by u_g = sum over its runs of c_r e_r sqrt(m/(m-1)),
    linear in y: u = M y. The variance is u'u; if all runs scattered alike, M M' would be its covariance, whose trace
    squared over the trace of its square are the degrees of freedom.
    """
    _, cell = np.unique(runs.cells, return_inverse=True)
    _, seed = np.unique(runs.seeds, return_inverse=True)
    same = cell[:, None] == cell
    count = same.sum(axis=1)
    if (count == 1).all():
        return None
    centre = np.eye(len(y)) - same / count[:, None]
    enlarged = coefficients * np.sqrt(np.where(count > 1, count / np.maximum(count - 1, 1), 0.0))
    seed_of = (seed[:, None] == np.arange(seed.max() + 1)).astype(float)
    moves = (seed_of * enlarged[:, None]).T @ centre
    spread = moves @ moves.T
    trace = float(np.trace(spread))
    if trace == 0:
        return None
    return float(((moves @ y) ** 2).sum()), trace**2 / float((spread**2).sum())


def _single_runs(cells: np.ndarray, coefficients: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Variance of runs that are alone in their cell, by the pooled scatter within the others; None without either."""
    _, cell = np.unique(cells, return_inverse=True)
    count = np.bincount(cell)
    spare, alone = int(len(y) - len(count)), count[cell] == 1
    carried = float((coefficients[alone] ** 2).sum())
    if spare < 1 or carried == 0:
        return None
    within = float(((y - (np.bincount(cell, y) / count)[cell]) ** 2).sum())
    return within / spare * carried, float(spare)


def _misfit(
    cells: np.ndarray, coefficients: np.ndarray, y: np.ndarray, model: np.ndarray
) -> tuple[float, float] | None:
    """Part 2: variance and degrees of freedom, None where the model has an unknown per cell.

    Cell means scatter with tau^2 + sigma^2 / m. Their mean square about the model has the expectation sigma^2 + m0
    tau^2, m0 = tr(W (I - H)) / (K - P); of the two ways to carry it over to the contrast, all noise or all misfit, the
    larger is taken. They are the same where all cells have as many seeds.
    """
    _, first, cell = np.unique(cells, return_index=True, return_inverse=True)
    count = np.bincount(cell).astype(float)
    free = len(count) - int(np.linalg.matrix_rank(model))
    if free < 1:
        return None
    means, weight = np.bincount(cell, y) / count, np.sqrt(count)
    scaled = weight[:, None] * np.asarray(model, float)[first]
    hat = scaled @ np.linalg.pinv(scaled)
    residual = weight * means - hat @ (weight * means)
    square = float(residual @ residual) / free
    by_cell = np.bincount(cell, coefficients)
    seeds_per_cell = float(count @ (1 - np.diag(hat))) / free
    carried = max(float((by_cell**2 / count).sum()), float((by_cell**2).sum()) / seeds_per_cell)
    return square * carried, float(free)


def _exact(value: float, rounding: float, runs: Runs) -> Estimate:
    """Runs that agree to the last digit: no scatter, so zero is zero and anything else is not."""
    value = 0.0 if abs(value) <= np.sqrt(rounding) else value
    days = runs.daily.shape[1]
    return Estimate(value, value, value, 1.0 if value == 0 else 0.0, 0.0, float(days), 0.0, 0.0, 0.0, 1)


def _check(runs: Runs, coefficients: np.ndarray, log: bool) -> None:
    n, days = runs.daily.shape
    if not len(runs.cells) == len(runs.seeds) == len(coefficients) == n:
        raise InputError(
            f"{n} runs with daily losses, but {len(runs.cells)} cells, {len(runs.seeds)} seeds and {len(coefficients)} "
            "coefficients: one of each per run"
        )
    if days < 3:
        raise InputError(f"an interval over test days needs at least 3 days, found {days}")
    if not np.isfinite(runs.daily).all():
        raise InputError("a daily loss is not finite: leave out the run, or the day of all runs")
    if log:
        positive(runs.losses(), "losses")
