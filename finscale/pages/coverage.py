"""Which series a data set has, from when to when."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import Patch

_COLOURS = {
    "prices": "#2563eb", "volatility": "#7c3aed", "economic": "#059669", "sentiment": "#d97706", "trends": "#dc2626",
}  # fmt: skip


def plot_coverage(manifest: pd.DataFrame, path: Path) -> None:
    """One bar per series of data/raw/manifest.csv (series, kind, first, last, rows), coloured by kind."""
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.28 * len(manifest)), layout="constrained")
    first, last = (matplotlib.dates.date2num(pd.to_datetime(manifest[name])) for name in ("first", "last"))
    rows = range(len(manifest))
    axes.barh(rows, last - first, left=first, height=0.6, color=[_COLOURS[kind] for kind in manifest["kind"]])
    for row, (end, count) in enumerate(zip(last, manifest["rows"], strict=True)):
        axes.annotate(f"{count:,}", (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(rows, manifest["series"])
    axes.invert_yaxis()
    axes.xaxis_date()
    axes.margins(x=0.08)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    kinds = [kind for kind in _COLOURS if kind in set(manifest["kind"])]
    handles = [Patch(color=_COLOURS[kind]) for kind in kinds]
    figure.legend(handles, kinds, loc="outside upper left", ncols=len(kinds), frameon=False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)
