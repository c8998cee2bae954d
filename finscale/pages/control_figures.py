"""The controls of the verdict side by side: a law that takes capacity, a random walk, and more or fewer data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from finscale.pages.figure import log_sizes, panels, save, say_nothing_yet
from finscale.pages.scaling_figures import draw_panel
from finscale.pages.style import GROUND, SOFT
from finscale.scaling.fits import CurveFit

_EXPECTED = GROUND["scaling"][0]


@dataclass(frozen=True)
class ControlPanel:
    """One ladder. runs: params_total (or what the ladder varies), test_loss, and expected_loss where it is known.

    bound: the best mean loss of any forecast on the test rows.
    """

    title: str
    axis: str
    runs: pd.DataFrame
    fit: CurveFit | None = None
    bound: float | None = None


def plot_controls(controls: Sequence[ControlPanel], path: Path) -> None:
    """One panel per ladder, each with axes of its own."""
    figure, grid = panels(1, len(controls), 4.4 * len(controls), 4.2)
    for axes, one in zip(grid, controls, strict=True):
        if one.runs.empty:
            axes.set_title(one.title)
            say_nothing_yet(axes, "not run yet: `make controls`")
            continue
        draw_panel(axes, one.runs, one.title, one.fit)
        if "expected_loss" in one.runs:
            means = one.runs.groupby("params_total")["expected_loss"].mean()
            axes.plot(means.index, means.to_numpy(), "_", color=_EXPECTED, markersize=12, label="in expectation")
        if one.bound is not None:
            axes.axhline(one.bound, color=SOFT, linewidth=1, linestyle=":", label=f"bound {one.bound:.4f}")
        log_sizes(axes, one.axis, one.runs["params_total"])
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower left", fontsize=8)
    save(figure, path)
