"""Figures of the data: which series there are from when to when, how features correlate, and where they drift."""

from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path

import matplotlib.dates
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from finscale.indicators.feature import Feature
from finscale.pages.figure import panels, save
from finscale.pages.many import READABLE
from finscale.pages.style import look


def plot_coverage(manifest: pd.DataFrame, path: Path) -> None:
    """One bar per series of data/raw/manifest.csv (series, kind, first, last, rows), coloured by kind.

    Of hundreds: how many series of each kind there are, day by day.
    """
    if len(manifest) > READABLE:
        _plot_counts(manifest, path)
        return
    figure, [axes] = panels(1, 1, 8, 1.2 + 0.28 * len(manifest))
    first, last = (matplotlib.dates.date2num(pd.to_datetime(manifest[name])) for name in ("first", "last"))
    rows = range(len(manifest))
    axes.barh(rows, last - first, left=first, height=0.6, color=[look(kind).light for kind in manifest["kind"]])
    for row, (end, count) in enumerate(zip(last, manifest["rows"], strict=True)):
        axes.annotate(f"{count:,}", (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(rows, manifest["series"])
    axes.invert_yaxis()
    axes.xaxis_date()
    axes.margins(x=0.08)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    kinds = list(dict.fromkeys(manifest["kind"]))
    handles = [Patch(color=look(kind).light) for kind in kinds]
    figure.legend(handles, [look(kind).name for kind in kinds], loc="outside upper left", ncols=len(kinds))
    save(figure, path)


def _plot_counts(manifest: pd.DataFrame, path: Path) -> None:
    figure, [axes] = panels(1, 1, 8, 3.4)
    for kind, own in manifest.groupby("kind", sort=False):
        begun, ended = pd.to_datetime(own["first"]), pd.to_datetime(own["last"]) + pd.Timedelta(days=1)
        steps = pd.concat([pd.Series(1, begun), pd.Series(-1, ended)]).groupby(level=0).sum().sort_index().cumsum()
        axes.step(steps.index, steps, where="post", color=look(str(kind)).light, label=look(str(kind)).name)
    axes.set(title=f"{len(manifest)} series: how many there are on a day")
    axes.set_ylim(bottom=0)
    axes.legend()
    save(figure, path)


def plot_correlation(train: np.ndarray, described: Sequence[Feature], path: Path) -> None:
    """Correlation map of the features, family by family. train: (rows, features)."""
    families = list(dict.fromkeys(feature.category for feature in described))
    order = sorted(range(len(described)), key=lambda i: families.index(described[i].category))
    described, train = [described[i] for i in order], train[:, order]
    figure, [axes] = panels(1, 1, 7.5, 6.6)
    with np.errstate(invalid="ignore", divide="ignore"):  # a feature that is constant in training has none
        correlation = np.corrcoef(train, rowvar=False)
    shown = axes.imshow(correlation, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    if len(described) <= 60:
        axes.set_yticks(range(len(described)), [feature.name for feature in described], fontsize=7)
    else:  # label the runs of one family that are large enough to be read
        runs = [(name, len(list(own))) for name, own in groupby(feature.category for feature in described)]
        begins = accumulate((length for _, length in runs), initial=0)
        large = [
            (start, name) for start, (name, length) in zip(begins, runs, strict=False) if length > len(described) / 40
        ]
        axes.set_yticks([start for start, _ in large], [name for _, name in large], fontsize=7)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.set(title=f"correlation of {len(described)} features, training rows")
    figure.colorbar(shown, shrink=0.8)
    save(figure, path)


def plot_drift(table: pd.DataFrame, path: Path) -> None:
    """Share of rows outside the training range, features sorted by it, for validation and test."""
    figure, [axes] = panels(1, 1, 7.5, 3.4)
    for column in table.filter(like="outside_"):
        split, shares = column.removeprefix("outside_"), np.sort(table[column].to_numpy())[::-1]
        rank = np.arange(1, len(shares) + 1)
        axes.step(rank, 100 * shares, where="mid", color=look(split).light, label=split)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    axes.set(xlabel="features, most outside first", ylabel="rows outside, %", title="outside the training range")
    axes.legend()
    save(figure, path)
