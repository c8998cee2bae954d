"""Curves of the ledger with their fits: losses per day joined, exponents over seeds and days, all judged together.

A curve whose runs do not all have losses per day has only an interval of seeds.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.evaluation.bootstrap import horizon_sessions
from finscale.evaluation.day_file import ROUNDING
from finscale.identity import SINGLE
from finscale.scaling.band import Band, days_band, seeds_band
from finscale.scaling.daily import daily_path, read_daily, unseen_path
from finscale.scaling.laws.checks import count_sizes, largest
from finscale.scaling.laws.contrast import Estimate, Runs
from finscale.scaling.laws.exponent import (
    MIN_YEARS,
    Exponent,
    YearlyExponents,
    exponent,
    exponents_by_year,
    forecast_error,
)
from finscale.scaling.laws.multiple import holm
from finscale.scaling.laws.power_law import MIN_SIZES, PowerLaw, fit_with_interval

_PATHS = {"test": daily_path, "unseen": unseen_path}
_BAND_POINTS = 16
_SAME = 3 * ROUNDING  # losses of the same labels, added up on other machines and rounded to either side


@dataclass(frozen=True)
class CurveFit:
    """What is known of one curve.

    law: with the interval of seeds. sizes: of the runs, (n,). runs: their losses per day; None without, and then there
    is no exponent over seeds and test days. adjusted_p: Holm's, over all curves of its family that have an exponent.
    forecast: log of foretold over measured loss at the largest size. years: of a walk-forward ladder; years_refused:
    why there are none. refused: why there is no exponent though losses per day were kept.
    """

    law: PowerLaw
    sizes: np.ndarray
    runs: Runs | None = None
    exponent: Exponent | None = None
    forecast: Estimate | None = None
    adjusted_p: float | None = None
    years: YearlyExponents | None = None
    years_refused: str = ""
    refused: str = ""

    def shown(self) -> PowerLaw:
        """The law with the widest interval that there is: over seeds and days where possible."""
        if self.exponent is None:
            return self.law
        alpha = self.exponent.alpha
        return replace(
            self.law, alpha_low=alpha.low, alpha_high=alpha.high, p_value=alpha.p_value, covers="seeds and days"
        )

    def band(self) -> Band:
        """Bounds of the law from the smallest size to the largest, over the same as the interval of `shown`."""
        x = np.geomspace(self.sizes.min(), self.sizes.max(), _BAND_POINTS)
        return seeds_band(self.law, self.sizes, x) if self.runs is None else days_band(self.sizes, self.runs, x)

    def forecast_band(self) -> Band | None:
        """Bounds of the line through all sizes but the largest, up to the largest; None without losses per day."""
        if self.runs is None:
            return None
        small = ~largest(self.sizes)
        if count_sizes(self.sizes[small]) < MIN_SIZES:
            return None
        x = np.geomspace(self.sizes.min(), self.sizes.max(), _BAND_POINTS)
        return days_band(self.sizes[small], self.runs.only(small), x)


def fits_of(results: pd.DataFrame, folder: Path, metric: str = "test_loss") -> dict[str, CurveFit]:
    """The fit of every curve with MIN_SIZES sizes, by experiment.

    results: of load_experiment_results. folder: of the losses per day, which are of the test: another metric has none.
    """
    found: dict[str, CurveFit] = {}
    for name, rows in results.groupby("experiment") if len(results) else ():
        if count_sizes(rows["params"].to_numpy(float)) >= MIN_SIZES:
            found[str(name)] = _fit(rows, folder, metric)
    p_values = {name: one.exponent.alpha.p_value for name, one in found.items() if one.exponent}
    adjusted: dict[str, float] = {}
    for family in _families(results):
        adjusted |= holm({name: p_values[name] for name in family if name in p_values})
    return {name: replace(one, adjusted_p=adjusted.get(name)) for name, one in found.items()}


def _families(results: pd.DataFrame) -> list[list[str]]:
    """Experiments that are judged together: those of real markets, and controls, whose answer is known beforehand."""
    if not len(results):
        return []
    simulated = results.groupby("experiment")["source"].first() == "simulated"
    return [[str(name) for name in simulated.index[simulated == which]] for which in (False, True)]


def paired_runs(
    rows: pd.DataFrame, folder: Path, cells: np.ndarray, column: str = "model", same_training: bool = True,
    test: Literal["test", "unseen"] = "test",
) -> Runs | None:  # fmt: skip
    """The losses per day of these ledger rows on the days that all of them share; None where a run has none.

    rows: with key, seed, horizon, test_loss and test_rows. cells: (n,), see contrast.Runs. column: of the daily losses,
    a baseline's name for a baseline. same_training: all were trained on the same rows, so that their base rates agree;
    where features or windows differ they do not, and nothing tells labels apart. test: unseen is the second one, on
    symbols that never trained. Raises InputError naming both keys where two runs were tested on other days, other rows
    or other labels.
    """
    paths = [_PATHS[test](folder, key) for key in rows["key"]]
    if not paths or not all(path.exists() for path in paths):
        return None
    losses = [read_daily(*told) for told in zip(paths, rows[f"{test}_loss"], rows[f"{test}_rows"], strict=True)]
    if any(column not in one for one in losses):
        return None
    keys = rows["key"].tolist()
    for key, one in zip(keys[1:], losses[1:], strict=True):
        _same_days(keys[0], losses[0], key, one, same_training)
    horizon = str(rows["horizon"].iloc[0])
    return Runs(
        daily=np.stack([one[column].to_numpy(float) for one in losses]),
        cells=np.asarray(cells),
        seeds=rows["seed"].to_numpy(),
        horizon_days=sessions_of(horizon),
        rows=losses[0]["rows"].to_numpy(float),
    )


def sessions_of(horizon: str) -> int:
    """horizon_sessions of the ledger's text."""
    return horizon_sessions("weekly") if horizon == "weekly" else int(horizon)


def days_years(rows: pd.DataFrame, folder: Path) -> np.ndarray:
    """(T,) the calendar year of each test day that these runs share."""
    dates = read_daily(daily_path(folder, rows["key"].iloc[0]))["date"]
    return np.asarray(pd.DatetimeIndex(dates).year)


def _fit(rows: pd.DataFrame, folder: Path, metric: str) -> CurveFit:
    sizes = rows["params"].to_numpy(float)
    law = fit_with_interval(sizes, rows[metric].to_numpy(float))
    try:
        runs = paired_runs(rows, folder, sizes) if metric == "test_loss" else None
        if runs is None:
            return CurveFit(law, sizes)
        alpha, foretold = exponent(sizes, runs), forecast_error(sizes, runs)
    except InputError as error:  # of this curve alone: the others are still reported
        return CurveFit(law, sizes, refused=str(error))
    fit = CurveFit(law, sizes, runs, alpha, foretold)
    if rows["scheme"].iloc[0] == SINGLE:
        return fit
    of_day = days_years(rows, folder)
    try:
        return replace(fit, years=exponents_by_year(sizes, runs, of_day) if len(set(of_day)) >= MIN_YEARS else None)
    except InputError as error:  # a year too short for an exponent of its own: that of all days stands
        return replace(fit, years_refused=str(error))


def _same_days(key: str, one: pd.DataFrame, other_key: str, other: pd.DataFrame, same_training: bool) -> None:
    """Raises InputError unless both runs were tested on the same rows of the same days, and by the same labels.

    The loss of the base rate tells labels: it knows nothing else, and the rate is that of the same training rows.
    """
    both = f"runs {key} and {other_key}"
    if len(one) != len(other) or (one["date"].to_numpy() != other["date"].to_numpy()).any():
        apart = set(one["date"]) ^ set(other["date"])
        first = min(apart) if apart else one["date"].iloc[0]
        raise InputError(f"{both} were tested on different days ({len(apart)}, first {first}): they share no interval")
    if (one["rows"].to_numpy() != other["rows"].to_numpy()).any():
        raise InputError(f"{both} were tested on different rows of the same days: they share no interval")
    if same_training and "base_rate" in one and "base_rate" in other:
        rate = one["base_rate"].to_numpy(float)
        apart = np.abs(rate - other["base_rate"].to_numpy(float))
        if (apart > _SAME * (rate + rate.mean())).any():
            day = one["date"].iloc[int(apart.argmax())]
            raise InputError(f"{both} were judged by different labels (base rate's loss on {day}): no interval")
