"""Figures of loss against parameters: one curve, all tasks side by side, and what small sizes foretell."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finscale.pages.figure import draw_band, log_losses, log_sizes, panels, save, say_nothing_yet, set_title
from finscale.pages.style import ACCENT, INK, MODEL, LossUnit, alpha_text, look, loss_unit, shown
from finscale.scaling.band import Band, seeds_band
from finscale.scaling.fits import CurveFit
from finscale.scaling.laws.checks import count_sizes, largest
from finscale.scaling.laws.choice import fit_without_largest
from finscale.scaling.laws.power_law import MIN_SIZES, PowerLaw
from finscale.scaling.laws.surface import LossLaw
from finscale.scaling.results import fit_of

NOTHING_YET = "no runs in the ledger yet: `make pilot` runs a ladder"
ONE_SIZE = "no experiment has runs of two sizes yet:\n`make pilot` runs a ladder"

# Lines to beat, from the ledger's own columns; the dashes tell them apart without colour.
_BASELINES = {"base_rate": (0, (1, 1.5)), "volatility": (0, (5, 2)), "catboost": (0, (6, 2, 1, 2))}


def plot_scaling_curve(
    study: pd.DataFrame, law: PowerLaw | None, title: str, path: Path, irreducible: LossLaw | None = None,
    *, under: str = "", band: Band | None = None,
) -> Figure:  # fmt: skip
    """Test loss against counted parameters, log-log: seeds as dots, their mean, the law, and baselines as lines.

    study: ledger rows with params_total, test_loss, and task and <baseline>_loss where they are known. under: a smaller
    line under the title. band: bounds of the law, CurveFit.band; None: those over seeds. irreducible: a law with
    irreducible loss, drawn with its floor where given. path: PNG or SVG by its ending.
    """
    figure, [axes] = panels(1, 1, 6.4, 5.2)
    set_title(axes, title, under)
    if study.empty:
        say_nothing_yet(axes, NOTHING_YET)
    else:
        unit = _unit(study)
        _draw_runs(axes, study, unit)
        if law is not None:
            _draw_law(axes, study, law, band, unit)
        if irreducible is not None:
            _draw_irreducible(axes, study, irreducible, unit)
        _draw_baselines(axes, study, unit)
        _set_log_axes(axes, unit, study["params_total"])
        figure.legend(loc="outside lower center", ncols=2, fontsize=10, columnspacing=1.2, handlelength=2.4)
    save(figure, path)
    return figure


def compare_scaling_across_tasks(
    results: pd.DataFrame, path: Path, panel: str = "experiment", fits: Mapping[str, CurveFit] | None = None
) -> Figure:
    """One panel per task (or any other column): its runs, their means, the law with alpha and R².

    results: from load_experiment_results. The panels share the axis of sizes; each has its own axis of losses, since
    the losses of different tasks cannot be compared. What alpha says can. Experiments of one size have no panel. fits:
    of fits_of, by panel, with intervals over seeds and days; a panel without one has an interval of seeds.
    """
    of_panel = results.groupby(panel)["params_total"] if len(results) else ()
    names = sorted(
        name for name, sizes in of_panel if count_sizes(sizes.to_numpy(float)) > 1
    )  # one size is no curve: skill_grid shows such runs
    columns = min(max(len(names), 1), 3)
    rows = math.ceil(max(len(names), 1) / columns)
    figure, grid = panels(rows, columns, 4.4 * columns + 0.6, 3.4 * rows + 0.4, sharex=True)
    if not names:
        say_nothing_yet(grid[0], ONE_SIZE if len(results) else NOTHING_YET)
    for axes, name in zip(grid, names, strict=False):
        draw_panel(axes, results[results[panel] == name], str(name), (fits or {}).get(str(name)))
    for position, axes in enumerate(grid[: len(names)]):
        axes.set_xlabel("parameters" if position + columns >= len(names) else "")
        axes.tick_params(labelbottom=position + columns >= len(names))
    for axes in grid[max(len(names), 1) :]:
        axes.remove()
    save(figure, path)
    return figure


def plot_extrapolation(study: pd.DataFrame, title: str, path: Path, bands: Mapping[str, Band] | None = None) -> None:
    """Laws fitted without the largest size, and where they put it: what is measured there decides between them.

    bands: by law, the interval of its forecast where there is one (CurveFit.forecast_band of the power law).
    """
    figure, [axes] = panels(1, 1, 7.2, 5.0)
    set_title(axes, "The largest size, foretold from the smaller ones", title)
    if count_sizes(study["params_total"].to_numpy(float)) < MIN_SIZES:
        say_nothing_yet(axes, "an extrapolation needs 3 sizes: `make pilot` runs a ladder")
        save(figure, path)
        return
    unit = _unit(study)
    sizes, losses = study["params_total"].to_numpy(float), unit.factor * study["test_loss"].to_numpy(float)
    small, grid = ~largest(sizes), np.geomspace(sizes.min(), sizes.max(), 200)
    seen = grid <= sizes[small].max()
    beyond = np.concatenate([grid[seen][-1:], grid[~seen]])
    for name, curve in fit_without_largest(sizes, losses).items():
        colour = look(name).light
        width = 3.4 if name == "power law" else 1.5  # a law with no floor to speak of lies on top of it
        if band := (bands or {}).get(name):
            words = f"95 % interval of the {shown(name)}, over {band.covers}"
            draw_band(axes, band.times(unit.factor), colour, words)
        axes.plot(grid[seen], curve(grid[seen]), color=colour, linewidth=width, label=shown(name))
        axes.plot(beyond, curve(beyond), color=colour, linewidth=width, linestyle="--")
        axes.plot(sizes.max(), curve(sizes[~small][:1])[0], "_", color=colour, markersize=14)
    axes.plot(sizes[small], losses[small], "o", color=ACCENT, alpha=0.4, markersize=5, label="fitted runs")
    axes.plot(sizes[~small], losses[~small], "o", color="none", markeredgecolor=INK, markersize=6, label="held out")
    axes.plot(sizes.max(), np.exp(np.log(losses[~small]).mean()), "D", color=INK, markersize=6, label="their mean")
    _set_log_axes(axes, unit, study["params_total"])
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, path)


def _unit(study: pd.DataFrame) -> LossUnit:
    return loss_unit(str(study["task"].iloc[0])) if "task" in study else LossUnit("")


def _set_log_axes(axes: Axes, unit: LossUnit, sizes: pd.Series) -> None:
    log_sizes(axes, sizes=sizes)
    if sizes.nunique() == 1:  # else the only size stands at the edge
        axes.set_xlim(sizes.iloc[0] / 4, sizes.iloc[0] * 4)
    log_losses(axes, unit.axis)


def _draw_runs(axes: Axes, study: pd.DataFrame, unit: LossUnit) -> None:
    losses, label = unit.factor * study["test_loss"], f"{shown(MODEL)}, one seed"
    axes.plot(study["params_total"], losses, "o", color=ACCENT, alpha=0.45, markersize=6, zorder=4, label=label)
    mean = losses.groupby(study["params_total"]).mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=INK, markersize=6, zorder=5, label="mean over seeds")


def _draw_baselines(axes: Axes, study: pd.DataFrame, unit: LossUnit) -> None:
    """Of several runs their median: a baseline depends on no size, and on the seed only where it is boosted."""
    for name, dashes in _BASELINES.items():
        column = f"{name}_loss"
        if column in study and study[column].notna().any():
            loss = unit.factor * float(study[column].median())
            label = f"{shown(name)} {loss:.4g}"
            axes.axhline(loss, color=look(name).light, linestyle=dashes, linewidth=1.6, label=label)


def _draw_law(axes: Axes, study: pd.DataFrame, law: PowerLaw, band: Band | None, unit: LossUnit) -> None:
    sizes = np.geomspace(study["params_total"].min(), study["params_total"].max(), 50)
    known = seeds_band(law, study["params_total"].to_numpy(), sizes) if band is None else band
    draw_band(axes, known.times(unit.factor), look("power law").light, f"95 % interval of the law, over {known.covers}")
    label = f"power law, $\\alpha$ = {alpha_text(asdict(law))}"
    axes.plot(sizes, unit.factor * law(sizes), color=look("power law").light, linewidth=1.8, label=label)


def _draw_irreducible(axes: Axes, study: pd.DataFrame, law: LossLaw, unit: LossUnit) -> None:
    sizes = np.geomspace(study["params_total"].min(), study["params_total"].max(), 100)
    floor, colour = law.irreducible, look("irreducible loss").light
    label = f"{shown('irreducible loss')}, exponent {law.exponents[0]:.3g}"
    axes.plot(sizes, unit.factor * law(sizes), color=colour, linewidth=1.6, linestyle="--", label=label)
    text = f"irreducible loss {unit.factor * floor:.4g}"
    axes.axhline(unit.factor * floor, color=colour, linewidth=1, linestyle=":", label=text)


def draw_panel(axes: Axes, runs: pd.DataFrame, name: str, fit: CurveFit | None) -> None:
    """One curve in a panel: its runs, their means, the law with alpha and R². runs: as of plot_scaling_curve."""
    unit = _unit(runs)
    axes.set_title(name, fontsize=9)
    law, words = fit_of(runs) if fit is None else fit.shown(), "too few sizes for a fit"
    if law is not None:
        sizes = np.geomspace(runs["params_total"].min(), runs["params_total"].max(), 50)
        band = seeds_band(law, runs["params_total"].to_numpy(), sizes) if fit is None else fit.band()
        draw_band(axes, band.times(unit.factor), look("power law").light)
        axes.plot(sizes, unit.factor * law(sizes), color=look("power law").light, linewidth=1.5)
        words = f"$\\alpha$ = {alpha_text(asdict(law))}, $R^2$ = {law.r_squared:.2f}"
    losses = unit.factor * runs["test_loss"]
    axes.plot(runs["params_total"], losses, "o", color=ACCENT, alpha=0.45, markersize=4)
    mean = losses.groupby(runs["params_total"]).mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=INK, markersize=4)
    _set_log_axes(axes, unit, runs["params_total"])
    axes.yaxis.set_major_locator(MaxNLocator(4))
    # Above the points, in room made for it: a text in a corner hides what lies there.
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.18)
    axes.text(0.02, 0.97, words, transform=axes.transAxes, va="top", fontsize=8, color=INK)
