"""Is the model better than its rivals? Differences of losses on paired days, over seeds, adjusted for their number.

A skill beside another skill is no test of their difference: both models were judged on the same days, and what the days
do to both cancels. Here each cell of a grid (task, horizon, size) is a contrast of the model's runs and a baseline's
losses on the same days (laws/contrast.py), and Holm's method adjusts over all of them.

One seed shows nothing of how seeds scatter: its interval is over the days alone, and it is not judged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.curves import groups_varying
from finscale.scaling.fits import paired_runs
from finscale.scaling.laws.contrast import Estimate, Runs, estimate
from finscale.scaling.laws.multiple import holm

# Columns of the losses per day; a run has those of its task. GARCH forecasts a probability for a threshold or a
# surprise (column volatility) and a volatility (column garch).
RIVALS = {
    "base_rate": "the base rate",
    "volatility": "GARCH",
    "garch": "GARCH",
    "har": "HAR-RV",
    "catboost": "CatBoost",
}
_ESTABLISHED = 0.05
_LEAST_SEEDS = 2
_NUMBERS = ("difference", "low", "high", "p_value", "adjusted_p")


@dataclass(frozen=True)
class Difference:
    """Log loss of the model less log loss of the rival: -0.02 is 2 % less.

    keys: of the runs, sorted. adjusted_p: Holm's, over all of the table that can be judged, NaN for the rest. refused:
    why the runs of a cell cannot be joined; its numbers are NaN then.
    """

    group: str
    task: str
    horizon: str
    budget: str
    rival: str
    seeds: int
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    keys: tuple[str, ...] = ()
    refused: str = ""

    @property
    def covers(self) -> Literal["seeds and days", "days"]:
        """What low and high are over."""
        return "seeds and days" if self.seeds >= _LEAST_SEEDS else "days"

    @property
    def judged(self) -> bool:
        return not self.refused and self.seeds >= _LEAST_SEEDS

    @property
    def established(self) -> Literal["better", "worse", ""]:
        """What the model is against the rival, where the adjusted p-value establishes it."""
        if not self.judged or self.adjusted_p >= _ESTABLISHED:
            return ""
        return "better" if self.difference < 0 else "worse"


def differences_from_rivals(runs: pd.DataFrame, folder: Path) -> list[Difference]:
    """Each cell with losses per day against each rival that it has; a cell whose seeds share no days says so.

    runs: of name_experiments. folder: of the losses per day.
    """
    found: list[Difference] = []
    for name, mine in groups_varying(runs, ("task", "horizon", "budget")) if len(runs) else ():
        for (task, horizon, budget), rows in mine.groupby(["task", "horizon", "budget"], sort=True):
            cell = partial(
                Difference, group=name, task=str(task), horizon=str(horizon), budget=str(budget),
                seeds=int(rows["seed"].nunique()), keys=keys_of(rows),
            )  # fmt: skip
            found += _against_all(rows, folder, cell)
    judged = {str(place): one.p_value for place, one in enumerate(found) if one.judged}
    adjusted = holm(judged)
    return [replace(one, adjusted_p=adjusted.get(str(place), np.nan)) for place, one in enumerate(found)]


def keys_of(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(rows["key"].astype(str)))


def rival_rows(differences: list[Difference]) -> list[dict[str, object]]:
    """The table in words: better and worse only where the adjusted p-value establishes it."""
    return [
        {
            "runs": f"{one.group}: {one.task}, {one.horizon} bars, {one.budget}",
            "rival": one.rival,
            "seeds": one.seeds,
            "loss against it": "-" if one.refused else _loss_words(one),
            "p (Holm)": f"{one.adjusted_p:.3g}" if one.judged else "-",
            "the model is": _finding(one),
        }
        for one in differences
    ]


def _finding(one: Difference) -> str:
    if one.refused:
        return one.refused
    return (one.established or "no difference established") if one.judged else "one seed: not judged"


def _loss_words(one: Difference) -> str:
    told = "{:+.1%} ({:+.1%} to {:+.1%}".format(*np.expm1([one.difference, one.low, one.high]))
    return told + (")" if one.judged else f" over {one.covers} alone)")


def _against_all(rows: pd.DataFrame, folder: Path, cell: Callable[..., Difference]) -> Iterator[Difference]:
    cells = np.zeros(len(rows))
    try:
        model = paired_runs(rows, folder, cells)
    except InputError as error:
        yield cell(rival="any", **dict.fromkeys(_NUMBERS, np.nan), refused=f"not compared: {error}")
        return
    for rival, words in RIVALS.items() if model is not None else ():
        other = paired_runs(rows, folder, cells + 1, rival)
        if model is not None and other is not None:
            told = _difference(model, other)
            yield cell(
                rival=words, difference=told.value, low=told.low, high=told.high, p_value=told.p_value,
                adjusted_p=told.p_value,
            )  # fmt: skip


def _difference(model: Runs, other: Runs) -> Estimate:
    both = Runs(
        np.vstack([model.daily, other.daily]),
        np.concatenate([model.cells, other.cells]),
        np.concatenate([model.seeds, other.seeds]),
        model.horizon_days,
        model.rows,
    )
    runs = len(model.cells)
    return estimate(both, np.repeat([1.0, -1.0], runs) / runs)
