"""The exponent of loss ~ N^-alpha over seeds and test days, with the checks that stand beside it.

The interval is contrast.py's; power_law.fit_with_interval has that of seeds alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from finscale.errors import InputError
from finscale.scaling.laws.checks import check_confidence, count_sizes, size_labels
from finscale.scaling.laws.contrast import Estimate, Runs, estimate
from finscale.scaling.laws.power_law import MIN_SIZES

MIN_YEARS = 3  # a spread between two years is a guess


@dataclass(frozen=True)
class Exponent:
    """alpha and what casts light on it.

    by_seed: slope of each seed that was run at MIN_SIZES sizes or more. equal_noise_p: Bartlett's (1937) test that all
    sizes scatter alike, None where fewer than two sizes were repeated.
    """

    alpha: Estimate
    by_seed: dict[str, float]
    equal_noise_p: float | None


@dataclass(frozen=True)
class YearlyExponents:
    """alpha of each test year and their mean as one draw of many years (random effects).

    table: year, alpha, low, high, standard_error. spread: standard deviation between years beyond what each year's own
    error explains (Paule and Mandel 1982). low, high, p_value: of the mean, by Hartung and Knapp (2001).
    """

    table: pd.DataFrame
    mean: float
    low: float
    high: float
    p_value: float
    spread: float


def exponent(sizes: np.ndarray, runs: Runs, confidence: float = 0.95) -> Exponent:
    """alpha of least squares on log losses, with its interval over seeds, misfit and days.

    sizes: (n,), of runs. The cells of `runs` are not read: a cell is a size here. Raises InputError for fewer than
    MIN_SIZES sizes.
    """
    x, runs = _ladder(sizes, runs)
    found = estimate(runs, -_slope(x), np.column_stack([np.ones_like(x), x]), confidence=confidence)
    y = np.log(runs.losses())
    return Exponent(found, slopes_by_seed(x, y, runs.seeds), equal_noise(runs.cells, y))


def forecast(sizes: np.ndarray, runs: Runs, size: float, confidence: float = 0.95) -> Estimate:
    """Log of the loss that the line gives at `size`, with its interval: of the mean over seeds, not of one new run."""
    x, runs = _ladder(sizes, runs)
    coefficients = 1 / len(x) + _slope(x) * (np.log(size) - x.mean())
    return estimate(runs, coefficients, np.column_stack([np.ones_like(x), x]), confidence=confidence)


def forecast_error(sizes: np.ndarray, runs: Runs, confidence: float = 0.95) -> Estimate:
    """Log of foretold over measured loss at the largest size, foretold from the smaller ones; with its noise.

    Zero inside the interval: what was measured is what the line foretold, as far as seeds and days can tell.
    """
    x, runs = _ladder(sizes, runs)
    largest = runs.cells == runs.cells.max()
    small = x[~largest]
    if count_sizes(np.exp(small)) < 2:
        raise InputError("a forecast of the largest size needs two smaller sizes")
    coefficients = np.where(largest, -1 / largest.sum(), 0.0)
    coefficients[~largest] = 1 / len(small) + _slope(small) * (x[largest].mean() - small.mean())
    model = np.column_stack([~largest, np.where(largest, 0, x), largest]).astype(float)
    return estimate(runs, coefficients, model, confidence=confidence)


def exponents_by_year(sizes: np.ndarray, runs: Runs, years: np.ndarray, confidence: float = 0.95) -> YearlyExponents:
    """The exponent of each test year, and the random-effects mean.

    years: (T,), one label per day. Raises InputError for fewer than MIN_YEARS years.
    """
    labels = list(dict.fromkeys(years))
    if len(labels) < MIN_YEARS:
        raise InputError(f"a mean over test years needs at least {MIN_YEARS} years, found {len(labels)}")
    rows = []
    for year in labels:
        own = np.asarray(years) == year
        of_year = Runs(
            runs.daily[:, own],
            runs.cells,
            runs.seeds,
            runs.horizon_days,
            None if runs.rows is None else np.asarray(runs.rows)[own],
        )
        alpha = exponent(sizes, of_year, confidence).alpha
        told = {"year": year, "alpha": alpha.value, "low": alpha.low, "high": alpha.high}
        rows.append(told | {"standard_error": alpha.standard_error})
    table = pd.DataFrame(rows)
    return _random_effects(table, confidence)


def _random_effects(table: pd.DataFrame, confidence: float) -> YearlyExponents:
    """In units of the typical standard error: statsmodels stops its search at absolute tolerances."""
    effects, errors = table["alpha"].to_numpy(), table["standard_error"].to_numpy()
    unit = float(np.median(errors))
    if unit == 0:
        raise InputError("years without any scatter have no random-effects mean")
    found = combine_effects(effects / unit, np.maximum(errors / unit, 1e-6) ** 2, method_re="iterated", use_t=True)
    mean, degrees = float(found.mean_effect_re) * unit, len(table) - 1
    # Never below the classical error: few years that agree by luck would look exact (Knapp and Hartung 2003).
    error = float(max(found.sd_eff_w_re_hksj, found.sd_eff_w_re)) * unit
    half = float(stats.t.ppf((1 + check_confidence(confidence)) / 2, degrees)) * error
    return YearlyExponents(
        table=table,
        mean=mean,
        low=mean - half,
        high=mean + half,
        p_value=float(2 * stats.t.sf(abs(mean) / error, degrees)),
        spread=float(np.sqrt(max(found.tau2, 0.0))) * unit,
    )


def slopes_by_seed(x: np.ndarray, y: np.ndarray, seeds: np.ndarray) -> dict[str, float]:
    """Exponent of each seed alone: x, y are log size and log loss."""
    found = {}
    for seed in sorted(set(np.asarray(seeds).tolist())):
        own = np.asarray(seeds) == seed
        if count_sizes(np.exp(x[own])) >= MIN_SIZES:
            found[str(seed)] = float(-_slope(x[own]) @ y[own])
    return found


def equal_noise(cells: np.ndarray, y: np.ndarray) -> float | None:
    """p-value of Bartlett's test that all sizes scatter alike; None where it cannot be made."""
    groups = [y[cells == cell] for cell in np.unique(cells)]
    scattered = [group for group in groups if len(group) > 1 and np.ptp(group) > 0]
    return float(stats.bartlett(*scattered).pvalue) if len(scattered) > 1 else None


def _slope(x: np.ndarray) -> np.ndarray:
    """Coefficients of the least-squares slope on x."""
    centred = x - x.mean()
    return np.asarray(centred / (centred @ centred))


def _ladder(sizes: np.ndarray, runs: Runs) -> tuple[np.ndarray, Runs]:
    """Log sizes, one value per label, and the runs with the size as their cell."""
    labels = size_labels(sizes)
    if (found := len(set(labels))) < MIN_SIZES:
        raise InputError(f"a power law needs at least {MIN_SIZES} sizes, found {found}")
    x = np.log(np.asarray(sizes, float))
    x = (np.bincount(labels, x) / np.bincount(labels))[labels]
    return x, Runs(runs.daily, labels, runs.seeds, runs.horizon_days, runs.rows)
