"""Figures of the other axes: features, interactions, thresholds and horizons, and profiles at equal compute."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from finscale.config import format_budget
from finscale.pages.style import ACCENT, INK, MUTED, SERIES, clean, log_losses, log_sizes, save, set_title
from finscale.scaling.laws.interactions import Interaction
from finscale.scaling.laws.optimum import NEAR
from finscale.scaling.laws.saturation import Saturation
from finscale.scaling.skill_grid import SkillCell, SkillGrid, horizon_words, threshold_words


def plot_feature_saturation(features: np.ndarray, losses: np.ndarray, fit: Saturation, title: str, path: Path) -> None:
    """Test loss against the number of features, log-log, with the bend and its interval."""
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    set_title(axes, title)
    axes.axvspan(fit.point_low, fit.point_high, color=ACCENT, alpha=0.08, linewidth=0, label="interval of the bend")
    axes.axvline(fit.point, color=ACCENT, linewidth=1, linestyle=":")
    axes.plot(features, losses, "o", color=ACCENT, alpha=0.35, markersize=5, label="one seed")
    mean = pd.Series(losses).groupby(features).mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=INK, markersize=5, label="mean over seeds")
    grid = np.geomspace(features.min(), features.max(), 400)
    axes.plot(grid, fit(grid), color=ACCENT, linewidth=1.6, label=f"{fit.verdict}")
    log_sizes(axes, "features")
    axes.xaxis.set_major_locator(FixedLocator(list(mean.index)))
    axes.xaxis.set_minor_locator(NullLocator())
    log_losses(axes)
    clean(axes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    save(figure, path)


def plot_interaction(found: Interaction, title: str, path: Path) -> None:
    """Left: mean loss of each cell. Right: what two steps do together beyond their sum, with intervals."""
    rows, columns = found.means.shape
    width = 3.2 + 0.9 * columns
    figure, (cells, effects) = plt.subplots(
        1, 2, figsize=(width + 5.2, max(2.8, 1.1 + 0.6 * max(rows, len(found.effects)))), layout="constrained",
        width_ratios=[width, 4.6],
    )  # fmt: skip
    set_title(cells, title)
    values = found.means.to_numpy(float)
    cells.imshow(values, cmap="Blues", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        words, colour = ("not run", MUTED) if np.isnan(value) else (f"{value:.4f}", "white" if value > middle else INK)
        cells.text(column, row, words, ha="center", va="center", fontsize=9, color=colour)
    cells.set_xticks(range(columns), [str(level) for level in found.means.columns])
    cells.set_yticks(range(rows), [str(level) for level in found.means.index])
    cells.set(xlabel=found.second, ylabel=found.first)
    cells.spines[:].set_visible(False)
    cells.tick_params(length=0)
    p = "" if found.p_value is None else f", p = {found.p_value:.2g}"
    set_title(effects, f"interaction{p}")
    effects.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    for row, effect in enumerate(reversed(found.effects.to_dict("records"))):
        colour = ACCENT if effect["low"] > 0 or effect["high"] < 0 else MUTED
        effects.plot([100 * effect["low"], 100 * effect["high"]], [row, row], color=colour, linewidth=2)
        effects.plot(100 * effect["interaction"], row, "o", color=colour)
    names = [f"{effect['first']}, {effect['second']}" for effect in reversed(found.effects.to_dict("records"))]
    effects.set_yticks(range(len(names)), names)
    effects.set_ylim(-0.6, max(len(names), 1) - 0.4)
    effects.set_xlabel("loss beyond the sum of both effects, %")
    clean(effects)
    save(figure, path)


def plot_skill_grids(grids: list[SkillGrid], title: str, path: Path) -> None:
    """One panel per size: skill by threshold and horizon, with its interval; bold where all of it is above zero."""
    rows, columns = grids[0].cells.shape
    height = len(grids) * (1.05 * rows + 0.7) + 0.8
    figure, panels = plt.subplots(
        len(grids), 1, figsize=(1.3 + 1.6 * columns, height), layout="constrained", squeeze=False
    )
    values = [grid.cells.map(lambda cell: np.nan if cell is None else cell.skill).to_numpy(float) for grid in grids]
    most = max(np.nanmax(np.abs(one)) for one in values) or 1.0
    for axes, grid, skill in zip(panels.flat, grids, values, strict=True):
        axes.imshow(skill, cmap="RdBu", vmin=-2.5 * most, vmax=2.5 * most, aspect="auto")  # pale: black text is read
        for (row, column), cell in np.ndenumerate(grid.cells.to_numpy()):
            _write_cell(axes, row, column, cell)
        axes.set_xticks(range(columns), [horizon_words(horizon) for horizon in grid.cells])
        axes.set_yticks(range(rows), [threshold_words(task) for task in grid.cells.index])
        axes.set_title(grid.budget, loc="left", fontsize=9, color=INK)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    panels[-1, 0].set_xlabel(
        "bold: the cell's own interval over the test days lies above zero, not adjusted for the number of cells",
        fontsize=8,
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    save(figure, path)


def _write_cell(axes: Axes, row: int, column: int, cell: SkillCell | None) -> None:
    if cell is None:
        axes.text(column, row, "no run", ha="center", va="center", fontsize=9, color=MUTED)
        return
    weight = "bold" if cell.low > 0 else "normal"
    axes.text(column, row - 0.22, f"{cell.skill:+.1%}", ha="center", va="center", fontsize=10, color=INK, weight=weight)
    told = f"{cell.low:+.1%} to {cell.high:+.1%}\n{cell.seeds_words}"
    rivals = cell.rivals_words.replace(", ", "\n")
    axes.text(column, row + 0.17, f"{told}\n{rivals}", ha="center", va="center", fontsize=7, color=INK)


def plot_isoflop(
    params: np.ndarray, flops: np.ndarray, losses: np.ndarray, profiles: pd.DataFrame, title: str, path: Path
) -> None:
    """Loss against parameters at equal compute, one parabola per budget, minima marked; means where there is none.

    profiles: from finscale.scaling.laws.optimum.isoflop_profiles.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.9), layout="constrained")
    set_title(axes, title)
    colours = plt.get_cmap("viridis")(np.linspace(0.05, 0.85, len(profiles)))
    for colour, row in zip(colours, profiles.to_dict("records"), strict=True):
        near = np.abs(np.log(flops / row["flops"])) < np.log(NEAR)
        label = f"{row['flops']:.1e} FLOPs".replace("e+", "e")
        axes.plot(params[near], losses[near], "o", color=colour, alpha=0.45, markersize=4)
        if not np.isnan(row["c2"]):
            x = np.linspace(np.log10(params[near].min()), np.log10(params[near].max()), 100)
            curve = row["c2"] * x**2 + row["c1"] * x + row["c0"]
            axes.plot(10**x, curve, color=colour, linewidth=1.4, label=label)
        else:
            means = pd.Series(losses[near]).groupby(params[near]).mean()
            axes.plot(means.index, means.to_numpy(), color=colour, linewidth=1, linestyle=":", label=f"{label}, means")
        if row["inside"]:
            axes.plot(row["params_optimal"], row["loss_optimal"], "*", color=SERIES[4], markersize=9)
    log_sizes(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_budget(round(value))))
    log_losses(axes, "loss")
    clean(axes)
    axes.plot([], [], "*", color=SERIES[4], markersize=9, linestyle="none", label="optimal size")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    save(figure, path)
