"""Figures of the scaling study (matplotlib, no display needed)."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from finscale.config import format_budget
from finscale.scaling.law import PowerLaw

_INK, _ACCENT, _MUTED = "#1f2937", "#2563eb", "#9ca3af"


def plot_scaling_curve(study: pd.DataFrame, law: PowerLaw | None, title: str, path: Path) -> None:
    """Test loss against counted parameters, log-log: seeds as dots, their mean, the law and the base rate.

    study: ledger rows with params_total, test_loss and base_rate_loss.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    if study.empty:
        axes.text(0.5, 0.5, "no runs in the ledger yet: `make pilot` runs a ladder", ha="center", color=_INK)
        axes.set_axis_off()
    else:
        _draw_runs(axes, study)
        if law is not None:
            _draw_law(axes, study, law)
        _set_log_axes(axes)
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    # No date or version in the file: the same ledger gives the same bytes.
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _set_log_axes(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_budget(round(value))))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.set_xlabel("parameters (counted)")
    axes.set_ylabel("test loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def _draw_runs(axes: Axes, study: pd.DataFrame) -> None:
    base_rate = study["base_rate_loss"].median()
    axes.axhline(base_rate, color=_MUTED, linestyle=":", linewidth=1.2, label=f"base rate {base_rate:.4f}")
    axes.plot(study["params_total"], study["test_loss"], "o", color=_ACCENT, alpha=0.35, markersize=5, label="one seed")
    mean = study.groupby("params_total")["test_loss"].mean()
    axes.plot(mean.index, mean.to_numpy(), "D", color=_INK, markersize=5, label="mean over seeds")


def _draw_law(axes: Axes, study: pd.DataFrame, law: PowerLaw) -> None:
    sizes = np.geomspace(study["params_total"].min(), study["params_total"].max(), 50)
    label = (
        f"$L = {law.coefficient:.3g}\\,N^{{{-law.alpha:.4f}}}$\n"
        f"$\\alpha$ = {law.alpha:.4f} [{law.alpha_low:.4f}, {law.alpha_high:.4f}], $R^2$ = {law.r_squared:.2f}"
    )
    axes.plot(sizes, law(sizes), color=_ACCENT, linewidth=1.6, label=label)
