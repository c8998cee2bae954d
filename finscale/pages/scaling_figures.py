"""Figures of loss against parameters: one curve, all tasks side by side, and what small sizes foretell."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from finscale.pages.style import (
    ACCENT,
    INK,
    MUTED,
    SERIES,
    clean,
    log_losses,
    log_sizes,
    save,
    say_nothing_yet,
    set_title,
)
from finscale.scaling.laws.choice import fit_without_largest
from finscale.scaling.laws.power_law import PowerLaw
from finscale.scaling.laws.surface import LossLaw
from finscale.scaling.results import fit_of

NOTHING_YET = "no runs in the ledger yet: `make pilot` runs a ladder"
ONE_SIZE = "no experiment has runs of two sizes yet:\n`make pilot` runs a ladder"


def plot_scaling_curve(
    study: pd.DataFrame, law: PowerLaw | None, title: str, path: Path, irreducible: LossLaw | None = None
) -> None:
    """Test loss against counted parameters, log-log: seeds as dots, their mean, the law and the base rate.

    study: ledger rows with params_total, test_loss and base_rate_loss. irreducible: a law with irreducible loss, drawn
    with its floor where given. path: PNG or SVG by its ending.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    set_title(axes, title)
    if study.empty:
        say_nothing_yet(axes, NOTHING_YET)
    else:
        _draw_runs(axes, study)
        if law is not None:
            _draw_law(axes, study, law)
        if irreducible is not None:
            _draw_irreducible(axes, study, irreducible)
        _set_log_axes(axes, study["params_total"])
        figure.legend(loc="outside lower center", ncols=4 if irreducible is None else 3, frameon=False, fontsize=8.5)
    save(figure, path)


def compare_scaling_across_tasks(results: pd.DataFrame, path: Path, panel: str = "experiment") -> None:
    """One panel per task (or any other column): its runs, their means, the law with alpha and R².

    results: from load_experiment_results. The panels share the axis of sizes; each has its own axis of losses, since
    the losses of different tasks cannot be compared. What alpha says can. Experiments of one size have no panel.
    """
    sizes = results.groupby(panel)["params_total"].nunique() if len(results) else pd.Series(dtype=int)
    names = sorted(sizes[sizes > 1].index)  # one size is no curve: skill_grid shows such runs
    columns = min(max(len(names), 1), 3)
    rows = math.ceil(max(len(names), 1) / columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.2 * columns + 0.6, 3.1 * rows + 0.4), layout="constrained", squeeze=False, sharex=True
    )
    panels = list(grid.flat)
    if not names:
        say_nothing_yet(panels[0], ONE_SIZE if len(results) else NOTHING_YET)
    for axes, name in zip(panels, names, strict=False):
        _draw_panel(axes, results[results[panel] == name], str(name))
    for position, axes in enumerate(panels[: len(names)]):
        axes.set_xlabel("parameters (counted)" if position + columns >= len(names) else "")
        axes.tick_params(labelbottom=position + columns >= len(names))
        axes.set_ylabel("test loss" if position % columns == 0 else "")
    for axes in panels[max(len(names), 1) :]:
        axes.set_visible(False)
    save(figure, path)


def plot_extrapolation(study: pd.DataFrame, title: str, path: Path) -> None:
    """Laws fitted without the largest size, and where they put it: what is measured there decides between them."""
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    set_title(axes, title)
    if study.empty or study["params_total"].nunique() < 3:
        say_nothing_yet(axes, "an extrapolation needs 3 sizes: `make pilot` runs a ladder")
        save(figure, path)
        return
    sizes, losses = study["params_total"].to_numpy(float), study["test_loss"].to_numpy(float)
    small, grid = sizes < sizes.max(), np.geomspace(sizes.min(), sizes.max(), 200)
    axes.plot(sizes[small], losses[small], "o", color=ACCENT, alpha=0.35, markersize=5, label="fitted runs")
    axes.plot(sizes[~small], losses[~small], "o", color="none", markeredgecolor=INK, markersize=6, label="held out")
    axes.plot(sizes.max(), np.exp(np.log(losses[~small]).mean()), "D", color=INK, markersize=6, label="their mean")
    seen = grid <= sizes[small].max()
    for colour, (name, curve) in zip(SERIES, fit_without_largest(sizes, losses).items(), strict=False):
        width = 3.0 if name == "power law" else 1.4  # a law with no floor to speak of lies on top of it
        beyond = np.concatenate([grid[seen][-1:], grid[~seen]])
        axes.plot(grid[seen], curve(grid[seen]), color=colour, linewidth=width, label=name)
        axes.plot(beyond, curve(beyond), color=colour, linewidth=width, linestyle="--")
        axes.plot(sizes.max(), curve(sizes[~small][:1])[0], "_", color=colour, markersize=14)
    _set_log_axes(axes)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    save(figure, path)


def _set_log_axes(axes: Axes, sizes: pd.Series | None = None) -> None:
    log_sizes(axes)
    if sizes is not None and sizes.nunique() == 1:  # else the only size stands at the edge
        axes.set_xlim(sizes.iloc[0] / 4, sizes.iloc[0] * 4)
    log_losses(axes)
    clean(axes)


def _draw_runs(axes: Axes, study: pd.DataFrame) -> None:
    base_rate = study["base_rate_loss"].median()
    axes.axhline(base_rate, color=MUTED, linestyle=":", linewidth=1.2, label=f"base rate {base_rate:.4f}")
    axes.plot(study["params_total"], study["test_loss"], "o", color=ACCENT, alpha=0.35, markersize=5, label="one seed")
    mean = study.groupby("params_total")["test_loss"].mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=INK, markersize=5, label="mean over seeds")


def _draw_law(axes: Axes, study: pd.DataFrame, law: PowerLaw) -> None:
    sizes = np.geomspace(study["params_total"].min(), study["params_total"].max(), 50)
    label = (
        f"$L = {law.coefficient:.3g}\\,N^{{{-law.alpha:.4f}}}$\n"
        f"$\\alpha$ = {law.alpha:.4f} [{law.alpha_low:.4f}, {law.alpha_high:.4f}] over {law.covers}, "
        f"$R^2$ = {law.r_squared:.2f}"
    )
    axes.plot(sizes, law(sizes), color=ACCENT, linewidth=1.6, label=label)


def _draw_irreducible(axes: Axes, study: pd.DataFrame, law: LossLaw) -> None:
    sizes = np.geomspace(study["params_total"].min(), study["params_total"].max(), 100)
    floor, colour = law.irreducible, SERIES[1]
    label = f"$L = {floor:.4g} + {law.coefficients[0]:.3g}\\,N^{{{-law.exponents[0]:.3g}}}$"
    axes.plot(sizes, law(sizes), color=colour, linewidth=1.6, linestyle="--", label=label)
    axes.axhline(floor, color=colour, linewidth=1, linestyle=":", label=f"irreducible loss {floor:.4g}")


def _draw_panel(axes: Axes, runs: pd.DataFrame, name: str) -> None:
    axes.set_title(name, loc="left", fontsize=9, color=INK)
    axes.plot(runs["params_total"], runs["test_loss"], "o", color=ACCENT, alpha=0.35, markersize=4)
    mean = runs.groupby("params_total")["test_loss"].mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=INK, markersize=4)
    law = fit_of(runs)
    words = "too few sizes for a fit"
    if law is not None:
        sizes = np.geomspace(runs["params_total"].min(), runs["params_total"].max(), 50)
        axes.plot(sizes, law(sizes), color=ACCENT, linewidth=1.5)
        words = (
            f"$\\alpha$ = {law.alpha:.4f} [{law.alpha_low:.4f}, {law.alpha_high:.4f}], $R^2$ = {law.r_squared:.2f}\n"
            f"over {law.covers}"
        )
    _set_log_axes(axes)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    # Above the points, in room made for it: a text in a corner hides what lies there.
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.18)
    axes.text(0.02, 0.97, words, transform=axes.transAxes, va="top", fontsize=8, color=INK)
