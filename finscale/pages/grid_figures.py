"""Size by data: a grid of losses, and the same as lines over training windows beside the baselines' own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from finscale.pages.figure import log_losses, log_sizes, panels, save, set_title
from finscale.pages.style import SERIES, LossUnit, look
from finscale.scaling.data_grid import BASELINES

_TESTS = {"test": "loss on later days", "unseen": "loss on later days of symbols that never train"}


def plot_data_grid(grid: Mapping[str, Any], path: Path, unit: LossUnit) -> None:
    """grid: of Grid.told. Left: mean loss per cell, dark is low. Right: loss over windows, a line per size."""
    cells = pd.DataFrame(grid["cells"])
    cells["loss"] *= unit.factor
    figure, [left, right] = panels(1, 2, 11.5, 4.6)
    _draw_cells(left, cells, unit)
    set_title(left, "Size by data", _TESTS[grid["test"]])
    _draw_lines(right, cells, unit)
    set_title(right, "Loss by training windows", "each point a mean over seeds")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    save(figure, path)


def _draw_cells(axes: Axes, cells: pd.DataFrame, unit: LossUnit) -> None:
    budgets = list(cells.sort_values("params")["budget"].drop_duplicates())
    data = list(cells["data"].drop_duplicates())
    losses = cells.pivot(index="budget", columns="data", values="loss").reindex(index=budgets, columns=data)
    values = losses.to_numpy(float)
    shown = np.log(values)
    low, high = np.nanmin(shown), np.nanmax(shown)
    axes.imshow(shown, cmap="Blues_r", vmin=low - 0.2 * (high - low), vmax=high, aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = shown[row, column] < low + 0.35 * (high - low)
            text = f"{value:.{min(unit.digits, 4)}f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    axes.set_xticks(range(len(data)), [name.replace(" symbol", "\nsymbol") for name in data], fontsize=8)
    axes.set_yticks(range(len(budgets)), budgets)
    axes.set_ylabel("parameters")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _draw_lines(axes: Axes, cells: pd.DataFrame, unit: LossUnit) -> None:
    for colour, (_, own) in zip(SERIES, cells.groupby("params", sort=True), strict=False):
        axes.plot(own["windows"], own["loss"], "o-", color=colour, markersize=5, label=own["budget"].iloc[0])
    of_data = cells.drop_duplicates("data")
    for name in (name for name in BASELINES if name in cells):
        style = look(name)
        axes.plot(of_data["windows"], unit.factor * of_data[name], "--", color=style.light, label=style.name)
    log_sizes(axes, "unique training windows", of_data["windows"])
    log_losses(axes, unit.axis)
