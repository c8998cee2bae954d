"""The look that all figures share, and files whose bytes repeat."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from finscale.config import format_budget

INK, ACCENT, MUTED = "#1f2937", "#2563eb", "#9ca3af"
SERIES = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#4b5563", "#be185d")


def save(figure: Figure, path: Path) -> None:
    """PNG or SVG, by the path's ending. No date, version or random id in it: the same input gives the same bytes."""
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    with plt.rc_context({"svg.hashsalt": "finscale"}):
        figure.savefig(path, dpi=150, metadata=metadata)
    plt.close(figure)


def clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def set_title(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)


def log_sizes(axes: Axes, label: str = "parameters (counted)") -> None:
    """A logarithmic x axis in K, M, B."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_budget(round(value))))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))
    axes.set_xlabel(label)


def log_losses(axes: Axes, label: str = "test loss") -> None:
    """A logarithmic y axis with plain numbers: losses of a study rarely span a decade."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.set_ylabel(label)


def say_nothing_yet(axes: Axes, words: str) -> None:
    """A panel without data says why."""
    axes.text(0.5, 0.5, words, ha="center", va="center", color=INK, transform=axes.transAxes)
    axes.set_axis_off()
