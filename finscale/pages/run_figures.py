"""Pictures of one run's evaluation, each from the table that it shows."""

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from finscale.evaluation.trading import drawdown

_INK, _ACCENT, _MUTED = "#1f2937", "#2563eb", "#9ca3af"
_COLOURS = (_ACCENT, "#d97706", "#059669", "#dc2626", "#7c3aed", _MUTED)
_YEAR_TICKS = 8  # labels that fit side by side
_ROLLING = 60  # sessions over which coverage and width are averaged

Draw = Callable[[list[Axes]], None]


def save(path: Path, panels: int, draw: Draw, stacked: bool = False) -> None:
    """One figure of `panels` axes, side by side or stacked; the file has no date in it."""
    shape, size = ((panels, 1), (7.2, 2.6 * panels)) if stacked else ((1, panels), (4.6 * panels, 4.0))
    figure, axes = plt.subplots(*shape, figsize=size, layout="constrained", squeeze=False)
    draw(list(axes.flat))
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, format="png", metadata={"Software": None})
    plt.close(figure)


def reliability_picture(bins: pd.DataFrame) -> Draw:
    """bins: predicted, observed, low, high (calibration.reliability)."""

    def draw(axes: list[Axes]) -> None:
        panel, high = axes[0], float(bins[["predicted", "high"]].to_numpy().max()) * 1.05
        panel.plot([0, high], [0, high], color=_MUTED, linestyle=":", linewidth=1)
        panel.vlines(bins["predicted"], bins["low"], bins["high"], color=_ACCENT, linewidth=1)
        panel.plot(bins["predicted"], bins["observed"], "o-", color=_ACCENT, markersize=4)
        panel.set(title="reliability on the test days, ten equal bins", xlabel="predicted", ylabel="observed")

    return draw


def scatter_picture(test: pd.DataFrame) -> Draw:
    """A regression's answer to reliability: predicted against realised returns. test: model, label."""

    def draw(axes: list[Axes]) -> None:
        axes[0].plot(test["model"], test["label"], ".", color=_ACCENT, markersize=3)
        axes[0].axhline(0, color=_MUTED, linewidth=0.8)
        axes[0].set(title="returns on the test days", xlabel="predicted", ylabel="realised")

    return draw


def ranking_picture(test: pd.DataFrame, names: list[str], positive: np.ndarray) -> Draw:
    """ROC and precision-recall curves of several predictions of the same rows. positive: 0/1 per row."""

    def draw(axes: list[Axes]) -> None:
        roc, recall = axes
        for name, colour in zip(names, _COLOURS, strict=False):
            score, width = test[name].to_numpy(), 2.0 if name == "model" else 1.0
            auc, precision = roc_auc_score(positive, score), average_precision_score(positive, score)
            shown = name.replace("_", " ")
            roc.plot(*roc_curve(positive, score)[:2], color=colour, linewidth=width, label=f"{shown} {auc:.3f}")
            precisions, recalls, _ = precision_recall_curve(positive, score)
            recall.plot(recalls, precisions, color=colour, linewidth=width, label=f"{shown} {precision:.3f}")
        roc.plot([0, 1], [0, 1], color=_MUTED, linestyle=":", linewidth=1)
        recall.axhline(positive.mean(), color=_MUTED, linestyle=":", linewidth=1)
        roc.set(title="ROC, area", xlabel="false positive rate", ylabel="true positive rate")
        recall.set(title="precision and recall, mean precision", xlabel="recall", ylabel="precision", ylim=(0, 1.02))
        for panel in axes:
            panel.legend(frameon=False, fontsize=8)

    return draw


def equity_picture(equity: pd.DataFrame) -> Draw:
    """Equity with drawdown, beside buy-and-hold, and the position. equity: date, return, buy_and_hold, position."""

    def draw(axes: list[Axes]) -> None:
        wealth, below, position = axes
        days = pd.to_datetime(equity["date"])
        for column, name, colour in (("return", "model", _ACCENT), ("buy_and_hold", "buy and hold", _MUTED)):
            returns = equity[column].to_numpy()
            wealth.plot(days, np.cumprod(1 + returns), color=colour, label=name)
            below.fill_between(days, drawdown(returns), color=colour, alpha=0.45, linewidth=0)
        position.step(days, equity["position"], color=_INK, linewidth=0.8)
        wealth.legend(frameon=False, fontsize=8)
        wealth.set(title="hypothetical equity after costs, test days", ylabel="capital = 1 at start")
        below.set(title="drawdown")
        position.set(title="share of capital invested")

    return draw


def coverage_picture(rows: pd.DataFrame, level: float, binary: bool) -> Draw:
    """Rolling coverage and width of both conformal methods. rows: what conformal.conform returns."""

    def draw(axes: list[Axes]) -> None:
        daily = rows.drop(columns="asset").groupby("date").mean().rolling(_ROLLING).mean()
        for method, colour in (("split", _MUTED), ("adaptive", _ACCENT)):
            axes[0].plot(daily.index, daily[f"{method}_covered"], color=colour, label=method)
            axes[1].plot(daily.index, daily[f"{method}_width"], color=colour, label=method)
        axes[0].axhline(level, color=_INK, linestyle=":", linewidth=1)
        axes[0].legend(frameon=False, fontsize=8)
        axes[0].set(title=f"conformal coverage, mean of {_ROLLING} sessions, {level:.0%} promised")
        axes[1].set(title="classes per set" if binary else "width of the interval, in returns")

    return draw


def by_year_picture(years: pd.DataFrame) -> Draw:
    """Skill of each year with its interval. years: year, skill, skill_low, skill_high (evaluation.years.by_year)."""

    def draw(axes: list[Axes]) -> None:
        axes[0].axhline(0, color=_MUTED, linewidth=0.8)
        axes[0].vlines(years["year"], years["skill_low"], years["skill_high"], color=_ACCENT, linewidth=2)
        axes[0].plot(years["year"], years["skill"], "o", color=_ACCENT)
        step = -(-len(years) // _YEAR_TICKS)
        axes[0].set_xticks(years["year"][::step], years["year"][::step].astype(str))
        axes[0].set(title="skill by year of the test", ylabel="against the base rate known before")

    return draw
