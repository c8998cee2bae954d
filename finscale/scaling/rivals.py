"""Is the model better than its rivals? Differences of losses on paired days, over seeds, adjusted for their number.

A skill beside another skill is no test of their difference: both models were judged on the same days, and what the days
do to both cancels. Here each cell of a grid (task, horizon, size) is a contrast of the model's runs and a baseline's
losses on the same days (laws/contrast.py), and Holm's method adjusts over all of them.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finscale.scaling.curves import groups_varying
from finscale.scaling.fits import paired_runs
from finscale.scaling.laws.contrast import Estimate, Runs, estimate
from finscale.scaling.laws.multiple import holm

RIVALS = {"base_rate": "the base rate", "volatility": "GARCH", "catboost": "CatBoost"}
_ESTABLISHED = 0.05


@dataclass(frozen=True)
class Difference:
    """Log loss of the model less log loss of the rival: -0.02 is 2 % less. adjusted_p: Holm's, over all of the
    table."""

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


def differences_from_rivals(runs: pd.DataFrame, folder: Path) -> list[Difference]:
    """Each cell with losses per day against each rival that it has.

    runs: of name_experiments. folder: of the losses per day. Raises InputError where seeds of a cell were tested on
    different days.
    """
    found: list[Difference] = []
    for name, mine in groups_varying(runs, ("task", "horizon", "budget")) if len(runs) else ():
        for (task, horizon, budget), rows in mine.groupby(["task", "horizon", "budget"], sort=True):
            for rival, words in RIVALS.items():
                told = _estimate(rows, folder, rival)
                if told is not None:
                    cell = (name, str(task), str(horizon), str(budget), words, len(rows))
                    found.append(Difference(*cell, told.value, told.low, told.high, told.p_value, told.p_value))
    adjusted = holm({str(place): one.p_value for place, one in enumerate(found)})
    return [Difference(**asdict(one) | {"adjusted_p": adjusted[str(place)]}) for place, one in enumerate(found)]


def rival_rows(differences: list[Difference]) -> list[dict[str, object]]:
    """The table in words: better and worse only where the adjusted p-value establishes it."""
    return [
        {
            "runs": f"{one.group}: {one.task}, {one.horizon} bars, {one.budget}",
            "rival": one.rival,
            "seeds": one.seeds,
            "loss against it": "{:+.1%} ({:+.1%} to {:+.1%})".format(*np.expm1([one.difference, one.low, one.high])),
            "p (Holm)": f"{one.adjusted_p:.3g}",
            "the model is": _word(one),
        }
        for one in differences
    ]


def _word(one: Difference) -> str:
    if one.adjusted_p >= _ESTABLISHED:
        return "no difference established"
    return "better" if one.difference < 0 else "worse"


def _estimate(rows: pd.DataFrame, folder: Path, rival: str) -> Estimate | None:
    cells = np.zeros(len(rows))
    model = paired_runs(rows, folder, cells)
    other = None if model is None else paired_runs(rows, folder, cells + 1, rival)
    if model is None or other is None:
        return None
    both = Runs(
        np.vstack([model.daily, other.daily]),
        np.concatenate([model.cells, other.cells]),
        np.concatenate([model.seeds, other.seeds]),
        model.horizon_days,
        model.rows,
    )
    return estimate(both, np.repeat([1.0, -1.0], len(rows)) / len(rows))
