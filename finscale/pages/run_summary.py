"""One run in words, tables and a picture."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from tabulate import tabulate

_INK, _ACCENT, _MUTED = "#1f2937", "#2563eb", "#9ca3af"

Table = list[dict[str, Any]]


def split_table(splits: dict[str, dict[str, Any]]) -> Table:
    """Windows, days and positives per split (metrics/dataset.json)."""
    return [
        {"split": name, "windows": told["rows"], "from": told["first"], "to": told["last"]}
        | ({"positives": told["positives"], "rate": f"{told['rate']:.3f}"} if "positives" in told else {})
        for name, told in splits.items()
    ]


def score_table(experiment: dict[str, Any]) -> Table:
    """Test loss and skill of the model and each baseline, on the same days, best first."""
    scores = experiment["scores"]["models"]
    return [
        {
            "on the test days": "PatchTST" if name == "model" else name.replace("_", " "),
            "loss": f"{score['loss']['value']:.5f}",
            "95 % interval": _interval(score["loss"], 5),
            "skill": f"{score['skill']['value']:+.4f}",
            "interval of skill": _interval(score["skill"], 4),
        }
        for name, score in sorted(scores.items(), key=lambda item: item[1]["loss"]["value"])
    ]


def year_table(experiment: dict[str, Any]) -> Table:
    """The model in each test year: rows, losses against the base rate known before, AUC where the task has one."""
    return [
        {
            "year": str(year["year"]),
            "rows": year["rows"],
            "loss": f"{year['loss']:.5f}",
            "skill": f"{year['skill']:+.4f}",
            "95 % interval": f"{year['skill_low']:+.4f} to {year['skill_high']:+.4f}",
        }
        | ({"AUC": "-" if year["auc"] is None else f"{year['auc']:.3f}"} if "auc" in year else {})
        for year in experiment["by_year"]
    ]


def _interval(score: dict[str, float], digits: int) -> str:
    return f"{score['low']:.{digits}f} to {score['high']:.{digits}f}"


def headline(experiment: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    """The result in sentences: size, losses, and whether the model beats the base rate."""
    axes, training = experiment["axes"], experiment["run"]
    skill = experiment["scores"]["models"]["model"]["skill"]
    if metrics["collapsed"]:
        verdict = "COLLAPSED: the model predicts a constant; its loss says nothing about the data"
    elif skill["low"] > 0:
        verdict = "better than the base rate"
    elif skill["high"] < 0:
        verdict = "worse than the base rate"
    else:
        verdict = "no skill established: the interval of skill contains zero"
    folds = experiment["folds"]
    walked = [f"walk-forward, {len(folds)} folds: {axes['scheme']}; losses are of all their test days"] if folds else []
    return [
        f"{axes['task']}, horizon {axes['horizon']}, {axes['timescale']}, tier {axes['tier']}, "
        f"{axes['source']} {axes['assets']}{axes['quality']}, seed {axes['seed']}",
        *walked,
        f"{training['params_total']:,} parameters counted for a budget of {axes['budget']}: embedding "
        f"{training['params_embedding']:,}, body {training['params_body']:,}, head {training['params_head']:,}",
        f"validation loss {metrics['validation_loss']:.5f}, "
        f"best epoch {training['best_epoch']} of {training['epochs_run']}",
        f"test loss {metrics['test_loss']:.5f} ({metrics['test_loss_low']:.5f} to {metrics['test_loss_high']:.5f})",
        f"skill {skill['value']:+.4f} ({_interval(skill, 4)}): {verdict}",
    ]


def scaling_sentence(scaling: dict[str, Any]) -> str:
    """What metrics/scaling.json says: of which settings, the verdict, and what of the ledger could not be read."""
    own = f" with {scaling['settings']}" if scaling["settings"] else ""
    aside = "".join(f"\nset aside: {fault}" for fault in scaling["set_aside"])
    if "alpha" not in scaling:
        return f"scaling{own}: {scaling['verdict']}{aside}"
    detectable = scaling["smallest_detectable_exponent"]
    power = "" if detectable is None else f"; smallest exponent that this design detects: {detectable:.4f}"
    return (
        f"scaling{own} over {scaling['sizes']} budgets, {scaling['runs']} runs: alpha {scaling['alpha']:.4f} "
        f"({scaling['alpha_low']:.4f} to {scaling['alpha_high']:.4f} over {scaling['covers']}), "
        f"R² {scaling['r_squared']:.2f}; {scaling['verdict']}{power}{aside}"
    )


def as_table(rows: Table, style: str) -> str:
    return tabulate(rows, headers="keys", tablefmt=style, disable_numparse=True)


def summary_text(lines: list[str], tables: list[Table], scaling: str, figures: list[Path]) -> str:
    """One screen of result for a terminal."""
    rule = "─" * 78
    body = "\n\n".join(as_table(table, "simple") for table in tables)
    where = "figures: " + ", ".join(str(path) for path in figures)
    return "\n".join([rule, *lines, "", body, "", scaling, where, rule]) + "\n"


def markdown(lines: list[str], tables: list[Table], scaling: str, figures: list[Path], notes: list[str]) -> str:
    """The same result as a page, with its figures and how the numbers were made."""
    parts = ["# Result of this run", *(f"- {line}" for line in lines), ""]
    parts += [f"{as_table(table, 'github')}\n" for table in tables]
    parts += ["## Scaling", "", scaling, ""]
    parts += [f"![{path.stem}](../{path})\n" for path in figures]
    return "\n".join([*parts, "## How to read this", "", *(f"- {note}" for note in notes)]) + "\n"


def plot_run(losses: pd.DataFrame, scores: Table, reliability: pd.DataFrame | None, path: Path) -> None:
    """Loss curves, reliability on the test days, and the models side by side with their intervals.

    losses: epoch, train, validation. reliability: predicted, observed, rows; None for a regression.
    scores: name, loss, low, high.
    """
    panels = 3 if reliability is not None else 2
    figure, axes = plt.subplots(1, panels, figsize=(4.2 * panels, 3.6), layout="constrained")
    _draw_losses(axes[0], losses)
    _draw_scores(axes[1], scores)
    if reliability is not None:
        _draw_reliability(axes[2], reliability)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def _draw_losses(axes: Axes, losses: pd.DataFrame) -> None:
    best = losses["validation"].idxmin()
    axes.plot(losses["epoch"], losses["train"], color=_MUTED, label="train")
    axes.plot(losses["epoch"], losses["validation"], color=_ACCENT, label="validation")
    axes.plot(losses["epoch"][best], losses["validation"][best], "o", color=_INK, label="best epoch")
    axes.set(title="loss per epoch", xlabel="epoch")
    axes.legend(frameon=False, fontsize=8)


def _draw_scores(axes: Axes, scores: Table) -> None:
    for row, score in enumerate(reversed(scores)):
        colour = _ACCENT if score["name"] == "model" else _MUTED
        axes.plot([score["low"], score["high"]], [row, row], color=colour, linewidth=2)
        axes.plot(score["loss"], row, "o", color=colour)
    axes.set_yticks(range(len(scores)), [score["name"].replace("_", " ") for score in reversed(scores)])
    axes.set(title="test loss, 95 % block-bootstrap interval")


def _draw_reliability(axes: Axes, reliability: pd.DataFrame) -> None:
    high = float(reliability[["predicted", "observed"]].to_numpy().max()) * 1.08
    axes.plot([0, high], [0, high], color=_MUTED, linestyle=":", linewidth=1)
    axes.plot(reliability["predicted"], reliability["observed"], "o-", color=_ACCENT, markersize=4)
    axes.set(title="reliability, test days in ten equal bins", xlabel="predicted", ylabel="observed")
