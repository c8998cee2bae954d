"""Pictures of one run's training and evaluation, each from the table that it shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from finscale.evaluation.ranking import Ranking
from finscale.evaluation.trading import drawdown
from finscale.pages.figure import panels, save, whole_epochs
from finscale.pages.run_tables import ROLLING, Table, ranking_words, rolling_coverage
from finscale.pages.style import ACCENT, INK, MODEL, MUTED, LossUnit, look, percent, shown

_YEAR_TICKS = 8  # labels that fit side by side


def plot_run(
    losses: pd.DataFrame, scores: Table, reliability: pd.DataFrame | None, unit: LossUnit, path: Path, confidence: float
) -> None:
    """Loss curves, the models side by side with their intervals, and reliability on the test days.

    losses: epoch, train, validation. reliability: predicted, observed, low, high; None for a regression.
    scores: model, loss, low, high, best first; in `unit`, as the curves are. confidence: of all intervals.
    """
    several = 2 if reliability is None else 3
    figure, axes = panels(1, several, 4.4 * several, 3.8)
    _draw_losses(axes[0], losses, unit)
    _draw_scores(axes[1], scores, unit, confidence)
    if reliability is not None:
        _draw_reliability(axes[2], reliability, confidence)
    save(figure, path)


def _draw_losses(axes: Axes, losses: pd.DataFrame, unit: LossUnit) -> None:
    """Of a run of one epoch there is no line: its dots are all."""
    best = losses["validation"].idxmin()
    for split in ("train", "validation"):
        axes.plot(losses["epoch"], unit.factor * losses[split], ".-", color=look(split).light, label=shown(split))
    lowest = unit.factor * losses["validation"][best]
    axes.plot(losses["epoch"][best], lowest, "o", color=INK, fillstyle="none", markersize=9, label="best epoch")
    whole_epochs(axes)
    axes.set(title="loss per epoch", ylabel=unit.unit)
    axes.legend()


def _draw_scores(axes: Axes, scores: Table, unit: LossUnit, confidence: float) -> None:
    ordered = list(reversed(scores))
    for row, score in enumerate(ordered):
        colour = look(score["model"]).light
        axes.plot([score["low"], score["high"]], [row, row], color=colour, linewidth=2)
        axes.plot(score["loss"], row, "o", color=colour)
    axes.set_yticks(range(len(ordered)), [shown(score["model"]) for score in ordered])
    axes.set(title=f"test loss, {percent(confidence)} interval over days", xlabel=unit.unit)


def _draw_reliability(axes: Axes, bins: pd.DataFrame, confidence: float) -> None:
    high = float(bins[["predicted", "high"]].to_numpy().max()) * 1.05
    axes.plot([0, high], [0, high], color=MUTED, linestyle=":", linewidth=1)
    axes.vlines(
        bins["predicted"],
        bins["low"],
        bins["high"],
        color=ACCENT,
        linewidth=1.2,
        label=f"{percent(confidence)} interval",
    )
    axes.plot(bins["predicted"], bins["observed"], "o", color=ACCENT, markersize=5)
    axes.set(title="reliability, ten bins of test days", xlabel="predicted rate", ylabel="observed rate")
    axes.legend()


def plot_reliability(bins: pd.DataFrame, path: Path, confidence: float) -> None:
    """bins: predicted, observed, low, high (calibration.reliability). confidence: of the interval."""
    figure, [axes] = panels(1, 1, 5.2, 4.4)
    _draw_reliability(axes, bins, confidence)
    save(figure, path)


def plot_scatter(test: pd.DataFrame, task: str, path: Path) -> None:
    """What stands in for reliability where no rate is foretold: predicted against realised. test: model, label."""
    figure, [axes] = panels(1, 1, 5.2, 4.4)
    factor, words = (100, "return, %") if task == "regression" else (1, "log of realised volatility")
    axes.plot(factor * test["model"], factor * test["label"], ".", color=ACCENT, markersize=3, alpha=0.6)
    axes.axline((0, 0), slope=1, color=MUTED, linestyle=":", linewidth=1)
    ends = [factor * test[name] for name in ("model", "label")]
    axes.set(xlim=(ends[0].min(), ends[0].max()), ylim=(ends[1].min(), ends[1].max()))
    axes.set(title="test days; dotted: foretold exactly", xlabel=f"predicted {words}", ylabel=f"realised {words}")
    save(figure, path)


def plot_ranking(found: Sequence[Ranking], area: dict[str, float] | None, share: float, path: Path) -> None:
    """ROC and precision-recall curves of several predictions of the same rows; of two values, a dot.

    area: the interval of the transformer's area, where it was measured. share: of positives. Precision holds from one
    threshold to the next: a straight line would promise forecasts that are not to be had.
    """
    figure, (roc, recall) = panels(1, 2, 10, 4.8)
    for one in found:
        mine, colour, words = one.model == MODEL, look(one.model).light, ranking_words(one)
        own = f" ({area['low']:.3f} to {area['high']:.3f})" if area and mine else ""
        style: dict[str, Any] = (
            {"marker": "o", "linestyle": "none"} if one.dots else {"linewidth": 2.2 if mine else 1.1}
        )
        style["zorder"] = 4 if mine else 3
        roc.plot(one.roc["x"], one.roc["y"], color=colour, label=words["roc"] + own, **style)
        recall.plot(
            one.recall["x"], one.recall["y"], color=colour, label=words["recall"], drawstyle="steps-post", **style
        )
    roc.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
    recall.axhline(share, color=MUTED, linestyle=":", linewidth=1)
    roc.set(title="ROC and its area; dotted: no skill", xlabel="false positive rate", ylabel="true positive rate")
    recall.set(title="precision and recall, mean precision; dotted: no skill", xlabel="recall", ylabel="precision")
    recall.set_ylim(0, 1.02)
    roc.legend(loc="lower right")
    recall.legend(loc="upper right")
    save(figure, path)


def plot_equity(equity: pd.DataFrame, path: Path) -> None:
    """Equity with drawdown, beside buy-and-hold, and the position.

    equity: date, return, buy_and_hold, position, and long_short where there are deciles.
    """
    figure, (wealth, below, position) = panels(3, 1, 7.2, 7.8, sharex=True)
    days = pd.to_datetime(equity["date"])
    accounts = {"long_short": "long_short", "buy_and_hold": "buy_and_hold", "return": MODEL}
    for column, name in ((column, name) for column, name in accounts.items() if column in equity):
        returns, colour = equity[column].to_numpy(), look(name).light
        wealth.plot(days, np.cumprod(1 + returns), color=colour, label=shown(name))
        below.fill_between(days, 100 * drawdown(returns), color=colour, alpha=0.45, linewidth=0)
    position.step(days, equity["position"], where="post", color=INK, linewidth=0.8)
    wealth.legend()
    wealth.set(title="hypothetical capital after costs, test days", ylabel="1 at the start")
    below.set(title="drawdown", ylabel="%")
    position.set(title="share of capital invested")
    save(figure, path)


def plot_conformal(rows: pd.DataFrame, score: dict[str, Any], binary: bool, path: Path) -> None:
    """Rolling coverage and width of both conformal methods.

    rows: what conformal.conform returns. score: level, and per method its coverage with the interval.
    """
    figure, (covered, wide) = panels(2, 1, 7.2, 5.6, sharex=True)
    daily = rolling_coverage(rows)
    for method in ("split", "adaptive"):
        colour, total = look(method).light, score[method]["coverage"]
        words = "{value:.1%} in all ({low:.1%} to {high:.1%})".format(**total)
        covered.plot(daily.index, daily[f"{method}_covered"], color=colour, label=f"{shown(method)}: {words}")
        wide.plot(daily.index, daily[f"{method}_width"], color=colour)
    covered.axhline(score["level"], color=INK, linestyle=":", linewidth=1)
    covered.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    covered.set(title=f"conformal coverage, mean of {ROLLING} sessions; dotted: {score['level']:.0%} promised")
    wide.set(title="classes per set" if binary else "width of the interval, in units of the label")
    figure.legend(loc="outside lower center", ncols=1)
    save(figure, path)


def plot_by_year(years: pd.DataFrame, path: Path, confidence: float) -> None:
    """Skill of each year with its interval, and rank IC where symbols were told apart.

    years: year, skill, skill_low, skill_high (evaluation.years.by_year), rank_ic and its ends.
    """
    several = 2 if "rank_ic" in years else 1
    figure, axes = panels(1, several, 5.6 * several, 4.0)
    interval = f"by year of the test, {percent(confidence)} interval"
    _draw_years(axes[0], years, "skill")
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:+.0%}")
    axes[0].set(title=f"PatchTST's skill {interval}", ylabel="against the base rate known before")
    if several == 2:
        _draw_years(axes[1], years, "rank_ic")
        axes[1].set(title=f"PatchTST's rank IC {interval}", ylabel="mean over days of the correlation over symbols")
    save(figure, path)


def _draw_years(axes: Axes, years: pd.DataFrame, name: str) -> None:
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.vlines(years["year"], years[f"{name}_low"], years[f"{name}_high"], color=ACCENT, linewidth=2)
    axes.plot(years["year"], years[name], "o", color=ACCENT)
    step = -(-len(years) // _YEAR_TICKS)
    axes.set_xticks(years["year"][::step], years["year"][::step].astype(str))
    axes.margins(x=0.15)
