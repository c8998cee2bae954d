"""The page and figure of a study of learning rates over budgets: each number and verdict computed from its table."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from finscale.config import parse_budget
from finscale.errors import InputError
from finscale.pages.figure import panels, save
from finscale.pages.render import Rows, render
from finscale.pages.style import SERIES
from finscale.storage import read_csv

CURVE = ["source", "task", "parametrization", "budget"]
_ALIKE = ["data", "settings", "epochs", "precision"]  # what the runs of one figure have to share
_CANDIDATE = 0.02
LOSSES = {"train_loss": "training loss", "validation_loss": "validation loss"}


def read_runs(table: Path) -> pd.DataFrame:
    """Finished runs by source, the smallest budget first; a run that diverged has an infinite loss."""
    if not table.exists():
        raise InputError(f"{table}: no such file; `python -m study.transfer` makes it")
    runs = read_csv(table, text=["budget"]).fillna(dict.fromkeys(LOSSES, np.inf))
    for source, same in runs.groupby("source"):
        if mixed := [name for name in _ALIKE if same[name].nunique() > 1]:
            raise InputError(f"{table}: runs on {source} differ in {', '.join(mixed)}; keep those of one kind")
    runs["size"] = runs["budget"].map(parse_budget)
    return runs.sort_values(["source", "task", "size"], kind="stable", ignore_index=True)


def seed_spread(runs: pd.DataFrame, loss: str) -> tuple[float, int]:
    """Pooled standard deviation over seeds of the same settings, and its degrees of freedom.

    Settings that are no candidates for a best rate (over 0.02 nats above their curve's best) are left out: they spread
    more.
    """
    cells = runs.groupby([*CURVE, "learning_rate"])[loss].agg(["mean", "var", "count"])
    near = cells["mean"] <= cells.groupby(CURVE)["mean"].transform("min") + _CANDIDATE
    cells = cells[near & (cells["count"] > 1)]
    freedom = int((cells["count"] - 1).sum())
    return float(np.sqrt((cells["var"] * (cells["count"] - 1)).sum() / freedom)) if freedom else float("nan"), freedom


def curves(runs: pd.DataFrame, loss: str) -> pd.DataFrame:
    """Per curve its best rate, and the rates that seeds cannot tell from it: their range `low` to `high`.

    A rate counts as told apart where its mean loss is above the best one's by more than two standard errors of the
    difference. `inside` says whether a lower and a higher rate were run.
    """
    spread, _ = seed_spread(runs, loss)
    rows = []
    for keys, curve in runs.groupby(CURVE, sort=False):
        means = curve.groupby("learning_rate")[loss].agg(["mean", "count"])
        best = means["mean"].idxmin()
        error = spread * np.sqrt(1 / means["count"] + 1 / means.loc[best, "count"])
        alike = means.index[means["mean"] <= means.loc[best, "mean"] + 2 * error]
        rows.append({
            **dict(zip(CURVE, keys, strict=True)), "d_model": curve["d_model"].iloc[0],
            "n_layers": curve["n_layers"].iloc[0], "seeds": int(means.loc[best, "count"]), "best": best,
            "loss": means.loc[best, "mean"], "low": alike.min(), "high": alike.max(),
            "inside": means.index.min() < best < means.index.max(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def transfer(runs: pd.DataFrame, loss: str) -> pd.DataFrame:
    """Per source and parametrization: how far the best rate moves over the ladder, and what ignoring that costs.

    moved: factors of two from the smallest budget's best rate to the largest's (+: higher). regret: at the largest
    budget, the loss at the smallest budget's best rate over the loss at its own, in nats.
    """
    rows = []
    for keys, ladder in curves(runs, loss).groupby(["source", "task", "parametrization"], sort=False):
        if len(ladder) < 2:
            continue
        small, large = ladder.iloc[0], ladder.iloc[-1]
        at_large = runs[(runs[CURVE] == large[CURVE]).all(axis=1)].groupby("learning_rate")[loss].mean()
        rows.append({
            **dict(zip(CURVE[:3], keys, strict=True)), "from": small["budget"], "to": large["budget"],
            "width": large["d_model"] / small["d_model"], "moved": float(np.log2(large["best"] / small["best"])),
            "regret": at_large.get(small["best"], np.nan) - large["loss"],
            "overlap": bool(max(small["low"], large["low"]) <= min(small["high"], large["high"])),
        })  # fmt: skip
    return pd.DataFrame(rows)


def verdict(row: pd.Series, loss: str, spread: float) -> str:
    """One sentence on one row of transfer()."""
    moved = "stays" if row["moved"] == 0 else f"moves by {row['moved']:+.0f} grid steps (factors of 2)"
    within = "within one grid step" if abs(row["moved"]) <= 1 else "**not within one grid step**"
    cost = "was not run there" if np.isnan(row["regret"]) else f"costs {row['regret']:.4f} nats there"
    overlap = "overlap" if row["overlap"] else "do not overlap"
    return (
        f"- {row['source']}, {row['parametrization']}, {LOSSES[loss]}: from {row['from']} to {row['to']} (width x "
        f"{row['width']:.1f}) the best rate {moved}: {within}. The {row['from']} model's best rate {cost} (a seed's "
        f"standard deviation is {spread:.4f}); the ranges that seeds cannot tell apart {overlap}."
    )


def table_of(runs: pd.DataFrame) -> Rows:
    """Best rates by training and by validation loss, side by side."""
    train, validation = (curves(runs, loss) for loss in LOSSES)
    return [
        {
            "source": a["source"], "budget": a["budget"], "d_model x layers": f"{a['d_model']} x {a['n_layers']}",
            "": a["parametrization"], "seeds": a["seeds"], "best rate, training": _rate(a),
            "training loss": f"{a['loss']:.4f}", "best rate, validation": _rate(b),
            "validation loss": f"{b['loss']:.4f}",
        }
        for (_, a), (_, b) in zip(train.iterrows(), validation.iterrows(), strict=True)
    ]  # fmt: skip


def _rate(curve: pd.Series) -> str:
    edge = "" if curve["inside"] else ", at the grid's end"
    alike = "" if curve["low"] == curve["high"] else f" ({curve['low']:g} to {curve['high']:g})"
    return f"{curve['best']:g}{alike}{edge}"


def draw(runs: pd.DataFrame, path: Path) -> None:
    """Training loss against the learning rate: a row per source, a column per parametrization, a line per budget."""
    sources, kinds = list(runs["source"].unique()), ("sp", "mup")
    figure, grid = panels(len(sources), len(kinds), 9.5, 3.6 * len(sources), sharey="row")
    for axes, (source, kind) in zip(grid, product(sources, kinds), strict=True):
        draw_curves(axes, runs[(runs["source"] == source) & (runs["parametrization"] == kind)])
        axes.set_title(f"{kind}, {source} market")
        if kind == kinds[0]:
            axes.set_ylabel("training loss of the last epoch (nats)")
    grid[0].legend(title="budget", fontsize=8)
    save(figure, path)


def draw_curves(axes: Axes, runs: pd.DataFrame) -> None:
    for color, (budget, curve) in zip(SERIES, runs.groupby("budget", sort=False), strict=False):
        means = curve.groupby("learning_rate")["train_loss"].mean()
        axes.plot(means.index, means, color=color, label=budget, linewidth=1.6)
        axes.plot(curve["learning_rate"], curve["train_loss"], ".", color=color, markersize=4)
        axes.plot(means.idxmin(), means.min(), "o", color=color, markersize=9, fillstyle="none")
    axes.set_xscale("log", base=2)
    ticks = sorted(runs["learning_rate"].unique())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.set_xlabel("peak learning rate (circle: best)")


def page(runs: pd.DataFrame) -> str:
    """The page: its written part (templates/transfer.md.j2) with the computed parts in their places."""
    spreads = {loss: seed_spread(runs, loss) for loss in LOSSES}
    found = [verdict(row, loss, spreads[loss][0]) for loss in LOSSES for _, row in transfer(runs, loss).iterrows()]
    noise = " and ".join(
        f"{spread:.4f} nats of {LOSSES[loss]} ({freedom} degrees of freedom)"
        for loss, (spread, freedom) in spreads.items()
    )
    return render("transfer.md.j2", verdict="\n".join(found), rows=table_of(runs), noise=noise, runs=len(runs))
