"""Figures of the other axes: features, interactions, thresholds and horizons, and profiles at equal compute."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from finscale.pages.experiments import rivals_words
from finscale.pages.figure import draw_band, log_losses, log_sizes, panels, save, set_title
from finscale.pages.style import ACCENT, INK, MUTED, SERIES, SOFT, LossUnit, loss_unit
from finscale.scaling.band import Band
from finscale.scaling.laws.interactions import Interaction
from finscale.scaling.laws.optimum import NEAR
from finscale.scaling.laws.saturation import Saturation
from finscale.scaling.skill_grid import SkillCell, SkillGrid, horizon_words, threshold_words

_CELL_WIDTH, _CELL_HEIGHT = 1.75, 1.25  # inches of a cell of the skill grid


def plot_feature_saturation(
    features: np.ndarray, losses: np.ndarray, fit: Saturation, title: str, path: Path,
    *, unit: LossUnit | None = None, band: Band | None = None,
) -> None:  # fmt: skip
    """Test loss against the number of features, log-log. The bend is shown where an effect is established, and it only.

    band: bounds of the fitted line, where the fit gives them.
    """
    told = unit or loss_unit("direction")
    figure, [axes] = panels(1, 1, 6.8, 5.0)
    set_title(axes, "Test loss by number of features", title)
    losses = told.factor * losses
    if bend_is_established(fit, features):
        axes.axvspan(fit.point_low, fit.point_high, color=MUTED, alpha=0.15, linewidth=0, label="interval of the bend")
        axes.axvline(fit.point, color=INK, linewidth=1, linestyle=":")
    if effect_is_established(fit):
        grid = np.geomspace(features.min(), features.max(), 400)
        draw_band(axes, band, INK)
        axes.plot(grid, told.factor * fit(grid), color=INK, linewidth=1.6, label=fit.verdict)
    else:
        axes.plot([], [], linestyle="none", label=fit.verdict)
    axes.plot(features, losses, "o", color=ACCENT, alpha=0.45, markersize=6, label="one seed")
    mean = pd.Series(losses).groupby(features).mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=INK, markersize=6, label="mean over seeds")
    log_sizes(axes, "features", mean.index)
    log_losses(axes, told.axis)
    figure.legend(loc="outside lower center", ncols=1)
    save(figure, path)


def effect_is_established(fit: Saturation) -> bool:
    """Whether the interval of the slope lies on one side of zero."""
    return fit.slope_low > 0 or fit.slope_high < 0


def bend_is_established(fit: Saturation, features: np.ndarray) -> bool:
    """Whether more features help, up to a number below the largest that was run."""
    return fit.slope_low > 0 and fit.point_high < features.max() * (1 - 1e-9)


def plot_interaction(found: Interaction, title: str, path: Path, unit: LossUnit | None = None) -> None:
    """Left: mean loss of each cell. Right: what two steps do together beyond their sum, with intervals.

    Without a complete square of levels there are no such effects, and no right panel.
    """
    told = unit or loss_unit("direction")
    rows, columns = found.means.shape
    width, height = 2.4 + 0.95 * columns, max(2.8, 1.3 + 0.6 * max(rows, len(found.effects)))
    if found.effects.empty:
        figure, [cells] = panels(1, 1, width, height)
    else:
        figure, (cells, effects) = panels(1, 2, width + 5.2, height, width_ratios=[width, 4.6])
        _draw_effects(effects, found)
    set_title(cells, f"Mean test loss by {found.first} and {found.second} ({told.unit})", title)
    values = told.factor * found.means.to_numpy(float)
    cells.imshow(values, cmap="Blues", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        words, colour = ("not run", MUTED) if np.isnan(value) else (f"{value:.4f}", "white" if value > middle else INK)
        cells.text(column, row, words, ha="center", va="center", fontsize=9, color=colour)
    cells.set_xticks(range(columns), [str(level) for level in found.means.columns])
    cells.set_yticks(range(rows), [str(level) for level in found.means.index])
    cells.set(xlabel=found.second, ylabel=found.first)
    _as_grid(cells)
    save(figure, path)


def _draw_effects(axes: Axes, found: Interaction) -> None:
    p = "" if found.p_value is None else f", p = {found.p_value:.2g}"
    axes.set_title(f"interaction, 95 % intervals{p}")
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    ordered = list(reversed(found.effects.to_dict("records")))
    for row, effect in enumerate(ordered):
        colour = ACCENT if effect["low"] > 0 or effect["high"] < 0 else MUTED
        axes.plot([100 * effect["low"], 100 * effect["high"]], [row, row], color=colour, linewidth=2)
        axes.plot(100 * effect["interaction"], row, "o", color=colour)
    axes.set_yticks(range(len(ordered)), [f"{effect['first']}, {effect['second']}" for effect in ordered])
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel("loss beyond the sum of both effects, %")


def _as_grid(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def plot_skill_grids(grids: list[SkillGrid], title: str, path: Path) -> None:
    """One panel per size: skill by threshold and horizon, with its interval; bold where the model has skill."""
    rows, columns = grids[0].cells.shape
    height = len(grids) * (_CELL_HEIGHT * rows + 0.5) + 0.9
    figure, axes_of = panels(len(grids), 1, 0.9 + _CELL_WIDTH * columns, height)
    values = [
        grid.cells.map(lambda cell: cell.skill if isinstance(cell, SkillCell) else np.nan).to_numpy(float)
        for grid in grids
    ]
    most = max(np.nanmax(np.abs(one)) for one in values) or 1.0
    for axes, grid, skill in zip(axes_of, grids, values, strict=True):
        axes.imshow(skill, cmap="RdBu", vmin=-2.5 * most, vmax=2.5 * most, aspect="auto")  # pale: black text is read
        for (row, column), cell in np.ndenumerate(grid.cells.to_numpy()):
            _write_cell(axes, row, column, cell)
        axes.set_xticks(range(columns), [horizon_words(horizon) for horizon in grid.cells], fontsize=11)
        axes.set_yticks(range(rows), [threshold_words(task) for task in grid.cells.index], fontsize=11)
        axes.set_title(f"PatchTST of {grid.budget} parameters", fontsize=10)
        _as_grid(axes)
    axes_of[-1].set_xlabel(_grid_words(grids), fontsize=9)
    figure.suptitle(f"Skill against the base rate: {title}", x=0.01, ha="left", fontsize=12, weight="bold")
    save(figure, path)


def _grid_words(grids: list[SkillGrid]) -> str:
    """What intervals are over and what bold says."""
    cells = [cell for grid in grids for cell in grid.cells.to_numpy().ravel() if isinstance(cell, SkillCell)]
    over = " or ".join(sorted({cell.covers for cell in cells}))
    if any(cell.against for cell in cells):
        return (
            f"95 % intervals over {over}; bold, beaten, wins: on paired days, adjusted for all comparisons (Holm, 5 %)"
        )
    return f"intervals of the runs, over {over}; bold: above zero, not adjusted for the number of cells"


def _write_cell(axes: Axes, row: int, column: int, cell: SkillCell | str | None) -> None:
    if not isinstance(cell, SkillCell):
        axes.text(
            column, row, (cell or "no run").replace(": ", "\n"), ha="center", va="center", fontsize=10, color=SOFT
        )
        return
    weight = "bold" if cell.positive else "normal"
    axes.text(column, row - 0.26, f"{cell.skill:+.1%}", ha="center", va="center", fontsize=12, weight=weight)
    told = [f"{cell.low:+.1%} to {cell.high:+.1%}", cell.seeds_words, *rivals_words(cell)]
    axes.text(column, row + 0.16, "\n".join(told), ha="center", va="center", fontsize=8.5)


def plot_isoflop(
    params: np.ndarray, flops: np.ndarray, losses: np.ndarray, profiles: pd.DataFrame, title: str, path: Path,
    unit: LossUnit | None = None,
) -> None:  # fmt: skip
    """Loss against parameters at equal compute, one parabola per budget, minima marked; means where there is none.

    losses: in `unit`, as are the profiles, from finscale.scaling.laws.optimum.isoflop_profiles.
    """
    figure, [axes] = panels(1, 1, 7.2, 5.2)
    set_title(axes, "Loss against size at equal training compute", title)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.05, 0.85, len(profiles)))
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
    log_sizes(axes, sizes=params)
    log_losses(axes, (unit or loss_unit("direction")).axis)
    axes.plot([], [], "*", color=SERIES[4], markersize=9, linestyle="none", label="optimal size")
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, path)
