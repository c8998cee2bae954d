"""What all figures share: type, axes, bands, and files whose bytes repeat."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, ScalarFormatter

from finscale.config import format_budget
from finscale.pages.style import INK, MUTED, SOFT

if TYPE_CHECKING:  # with scipy.stats, a second to import, and most figures have no band
    from finscale.scaling.band import Band

_DPI = 160
_ROOM = 1.6  # factor between two sizes that both have a label
_STYLE = {
    "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left", "axes.titlecolor": INK,
    "axes.labelcolor": INK, "axes.edgecolor": MUTED, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.alpha": 0.25, "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 9,
    "svg.hashsalt": "finscale",
}  # fmt: skip
plt.rcParams.update(_STYLE)  # type: ignore[arg-type]


def panels(rows: int, columns: int, width: float, height: float, **more: Any) -> tuple[Figure, list[Axes]]:
    """A figure of rows * columns axes, row by row; width and height of the whole, in inches."""
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **more
    )  # fmt: skip
    return figure, list(grid.flat)


def save(figure: Figure, path: Path) -> None:
    """PNG or SVG, by the path's ending. No date, version or random id in it: the same input gives the same bytes."""
    vector = path.suffix == ".svg"
    metadata = {"Date": None, "Creator": None} if vector else {"Software": None}
    figure.savefig(path, dpi=_DPI, format="svg" if vector else "png", metadata=metadata)
    plt.close(figure)


def set_title(axes: Axes, title: str, under: str = "") -> None:
    """A title of one line, and a smaller line under it."""
    if under:
        axes.set_title(under, fontsize=9, color=SOFT, pad=6)
        axes.annotate(
            title, (0, 1), (0, 22), xycoords="axes fraction", textcoords="offset points", fontsize=12, weight="bold"
        )
    else:
        axes.set_title(title)


def log_sizes(axes: Axes, label: str = "parameters", sizes: Iterable[float] | None = None) -> None:
    """A logarithmic x axis in K, M, B. sizes: what stands under ticks; all of a decade's ones else."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_budget(_round(value))))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))
    if sizes is not None:
        axes.xaxis.set_major_locator(FixedLocator(_apart(sizes)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)


def _apart(sizes: Iterable[float]) -> list[float]:
    """Those whose labels do not meet, from the smallest on."""
    kept: list[float] = []
    for size in sorted(set(sizes)):
        if not kept or size >= _ROOM * kept[-1]:
            kept.append(size)
    return kept


def _round(size: float) -> int:
    """To two digits: 99,625 counted parameters are the size called 100K."""
    return round(float(f"{size:.2g}"))


def log_losses(axes: Axes, label: str) -> None:
    """A logarithmic y axis with plain numbers: losses of a study rarely span a decade."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    plain = ScalarFormatter(useOffset=False)
    plain.set_scientific(False)
    axes.yaxis.set_major_formatter(plain)
    axes.set_ylabel(label)


def whole_epochs(axes: Axes) -> None:
    """Ticks at whole epochs only: there is no half of one."""
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")


def draw_band(axes: Axes, band: "Band | None", colour: str, label: str | None = None) -> None:
    if band is not None:
        axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.13, linewidth=0, label=label)


def say_nothing_yet(axes: Axes, words: str) -> None:
    """A panel without data says why."""
    axes.text(0.5, 0.5, words, ha="center", va="center", color=INK, transform=axes.transAxes)
    axes.set_axis_off()
