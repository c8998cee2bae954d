"""Does the effect of one axis depend on another? Two-way interactions of log loss, with intervals (SPEC 1.5).

With losses per day an interaction is a contrast of runs (contrast.py), over seeds and days; without, of seeds alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from finscale.errors import InputError
from finscale.scaling.laws.checks import check_confidence
from finscale.scaling.laws.contrast import Runs, estimate


@dataclass(frozen=True)
class Interaction:
    """A two-way layout.

    means: geometric mean loss, one row per level of the first axis, one column per level of the second; NaN where
    nothing was run. effects: one row per complete square of levels, columns first, second (the levels compared with the
    reference), interaction, low, high. It is the change of log loss that the two steps make together beyond the sum of
    what each makes alone; negative: together they help more. p_value: that all are zero; over seeds the F test, None if
    the layout has holes; over seeds and days the smallest, times
    their number (Bonferroni). days: whether the intervals cover the test days.
    """

    first: str
    second: str
    means: pd.DataFrame
    effects: pd.DataFrame
    p_value: float | None
    days: bool = False


def two_way_interaction(
    runs: pd.DataFrame, first: str, second: str, confidence: float = 0.95, on_days: Runs | None = None
) -> Interaction:
    """Interaction of two columns of the ledger in log test loss, seeds as repetitions.

    on_days: the daily losses of `runs`, row by row; None where they were not kept.

    The reference is the first level of each column in order of appearance, so order the runs by size. Intervals are
    Student's t (of seeds alone: with the scatter within all cells pooled), and Bonferroni over the squares, so that
    together they hold with the stated confidence. Raises InputError where fewer than 2 x 2 cells or no repeated cell
    was run.
    """
    check_confidence(confidence)
    levels = [list(dict.fromkeys(runs[axis])) for axis in (first, second)]
    y = np.log(runs["test_loss"].to_numpy(float))
    groups = pd.Series(y).groupby([runs[first].to_numpy(), runs[second].to_numpy()])
    mean, count = groups.mean(), groups.size()
    spare = int(len(y) - len(mean))
    if min(map(len, levels)) < 2 or spare < 1:
        raise InputError(
            f"{first} x {second}: an interaction needs 2 levels of each and a cell with 2 seeds, found "
            f"{len(levels[0])} x {len(levels[1])} levels and {len(y)} runs in {len(mean)} cells"
        )
    table = np.exp(mean).unstack().reindex(index=levels[0], columns=levels[1])
    if on_days is not None:
        effects, p_value = _effects_on_days(runs, first, second, levels, on_days, confidence)
        return Interaction(first, second, table, effects, p_value, days=True)
    variance = float(((y - groups.transform("mean").to_numpy()) ** 2).sum()) / spare
    effects = _effects(mean, count, levels, variance, spare, confidence)
    return Interaction(first, second, table, effects, _f_test(runs, first, second, y, mean, variance, spare, levels))


_SIGNS = np.array([1.0, -1.0, -1.0, 1.0])
_COLUMNS = ["first", "second", "interaction", "low", "high"]


def _squares(levels: list[list], cells: pd.Index) -> list[tuple[object, object, list[tuple]]]:
    """Each complete square of levels: the two that are compared with the reference, and its four cells."""
    (base, *rows), (origin, *columns) = levels
    rectangles: list[tuple[object, object, list[tuple]]] = [
        (row, column, [(row, column), (row, origin), (base, column), (base, origin)])
        for row in rows
        for column in columns
    ]
    return [one for one in rectangles if all(cell in cells for cell in one[2])]


def _effects_on_days(
    runs: pd.DataFrame, first: str, second: str, levels: list[list], on_days: Runs, confidence: float
) -> tuple[pd.DataFrame, float | None]:
    cell = pd.MultiIndex.from_frame(runs[[first, second]])
    codes, present = cell.factorize()
    by_cell = Runs(on_days.daily, codes, on_days.seeds, on_days.horizon_days, on_days.rows)
    complete = _squares(levels, present)
    found, p_values = [], []
    for row, column, cells in complete:
        coefficients = np.zeros(len(runs))
        for sign, one in zip(_SIGNS, cells, strict=True):
            own = codes == present.get_loc(one)
            coefficients[own] = sign / own.sum()
        told = estimate(by_cell, coefficients, confidence=1 - (1 - confidence) / len(complete))
        p_values.append(told.p_value)
        found.append({"first": row, "second": column, "interaction": told.value, "low": told.low, "high": told.high})
    return pd.DataFrame(found, columns=_COLUMNS), min(1.0, min(p_values) * len(p_values)) if p_values else None


def _effects(
    mean: pd.Series, count: pd.Series, levels: list[list], variance: float, spare: int, confidence: float
) -> pd.DataFrame:
    complete = _squares(levels, mean.index)
    quantile = stats.t.ppf(1 - (1 - confidence) / 2 / max(len(complete), 1), spare)
    found = []
    for row, column, cells in complete:
        effect = float(_SIGNS @ [mean[cell] for cell in cells])
        half = float(quantile * np.sqrt(variance * sum(1 / count[cell] for cell in cells)))
        found.append(
            {"first": row, "second": column, "interaction": effect, "low": effect - half, "high": effect + half}
        )
    return pd.DataFrame(found, columns=_COLUMNS)


def _f_test(
    runs: pd.DataFrame,
    first: str,
    second: str,
    y: np.ndarray,
    mean: pd.Series,
    variance: float,
    spare: int,
    levels: list[list],
) -> float | None:
    """The additive model against the one with a mean per cell."""
    degrees = (len(levels[0]) - 1) * (len(levels[1]) - 1)
    if len(mean) < len(levels[0]) * len(levels[1]) or variance == 0:
        return None
    dummies = pd.get_dummies(runs[[first, second]].astype(str), drop_first=True, dtype=float).to_numpy()
    design = np.column_stack([np.ones(len(y)), dummies])
    additive = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    explained = float(additive @ additive) - variance * spare
    return float(stats.f.sf(max(explained, 0.0) / degrees / variance, degrees, spare))
