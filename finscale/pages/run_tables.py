"""One run in words and tables: what the screen, the report, the page and the figures show of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.assets import data_set
from finscale.evaluation.ranking import Ranking
from finscale.evaluation.trading import drawdown
from finscale.pages.render import render
from finscale.pages.style import MODEL, loss_unit, percent, shown

ROLLING = 60  # sessions over which coverage is averaged

Table = list[dict[str, Any]]


def split_table(splits: dict[str, dict[str, Any]]) -> Table:
    """Windows, days and positives per split (data/processed/dataset.json)."""
    return [
        {"split": name, "windows": told["rows"], "from": told["first"], "to": told["last"]}
        | ({"symbols": told["symbols"]} if told.get("symbols", 1) > 1 else {})
        | ({"positives": told["positives"], "rate": f"{told['rate']:.3f}"} if "positives" in told else {})
        for name, told in splits.items()
    ]


def score_rows(experiment: dict[str, Any]) -> Table:
    """model, loss, low, high of the model and each baseline on the same days, best first."""
    scores = experiment["scores"]["models"]
    rows = [{"model": name} | _bounds(score["loss"], "loss") for name, score in scores.items()]
    return sorted(rows, key=lambda row: row["loss"])


def _bounds(score: dict[str, float], name: str) -> dict[str, float]:
    return {name: score["value"], "low": score["low"], "high": score["high"]}


def score_table(experiment: dict[str, Any]) -> Table:
    """Test loss and skill of the model and each baseline, on the same days, best first."""
    scores, unit = experiment["scores"]["models"], loss_unit(experiment["axes"]["task"])
    interval = interval_name(experiment)
    return [
        {
            "on the test days": shown(name),
            unit.axis: unit.text(score["loss"]["value"]),
            interval: f"{unit.text(score['loss']['low'])} to {unit.text(score['loss']['high'])}",
            "skill": f"{score['skill']['value']:+.4f}",
            "interval of skill": _interval(score["skill"], 4),
        }
        for name, score in sorted(scores.items(), key=lambda item: item[1]["loss"]["value"])
    ]


def year_table(experiment: dict[str, Any]) -> Table:
    """The model in each test year: rows, losses against the base rate known before, AUC where the task has one."""
    unit = loss_unit(experiment["axes"]["task"])
    return [
        {
            "year": str(year["year"]),
            "rows": year["rows"],
            f"loss ({unit.unit})": unit.text(year["loss"]),
            "skill": f"{year['skill']:+.4f}",
            interval_name(experiment): f"{year['skill_low']:+.4f} to {year['skill_high']:+.4f}",
        }
        | ({"AUC": "-" if year["auc"] is None else f"{year['auc']:.3f}"} if "auc" in year else {})
        | ({"rank IC": "-" if year["rank_ic"] is None else f"{year['rank_ic']:+.4f}"} if "rank_ic" in year else {})
        for year in experiment["by_year"]
    ]


def _cross_section(experiment: dict[str, Any], second: bool) -> dict[str, Any]:
    """Of the test or of the second one, on symbols that never trained; {} where there is none."""
    return dict((experiment.get("unseen", {}) if second else experiment).get("cross_section", {}))


def cross_section_table(experiment: dict[str, Any], second: bool = False) -> Table:
    """IC and rank IC of each prediction; nothing where symbols were not told apart. second: of those never seen."""
    interval, who = interval_name(experiment), "symbols never seen, a day" if second else "symbols of a day"
    return [
        {
            f"over the {who}": shown(name),
            "IC": f"{found['ic']['value']:+.4f}",
            f"{interval} of IC": _signed(found["ic"]),
            "rank IC": f"{found['rank_ic']['value']:+.4f}",
            f"{interval} of rank IC": _signed(found["rank_ic"]),
            "days above 0": f"{found['rank_ic']['positive']:.0%}",
            "days": found["days"],
        }
        for name, found in _cross_section(experiment, second).get("models", {}).items()
    ]


def cross_section_words(experiment: dict[str, Any], second: bool = False) -> list[str]:
    """The cross-section in a sentence, or why there is none; nothing of one symbol. second: of those never seen."""
    if not (told := _cross_section(experiment, second)):
        return []
    name = "cross-section of symbols never seen" if second else "cross-section"
    symbols = "{fewest} to {most} symbols a day".format(**told["symbols"])
    if "none" in told:
        return [f"{name}: none, {symbols}: {told['none']}"]
    if MODEL not in told["models"]:
        return [f"{name}, {symbols}: the model predicts the same for all symbols of a day"]
    rank = told["models"][MODEL]["rank_ic"]
    established = "" if rank["low"] > 0 or rank["high"] < 0 else ": no order of symbols established"
    return [f"{name}, {symbols}, {told['days']} days: rank IC {rank['value']:+.4f} ({_signed(rank)}){established}"]


def _signed(score: dict[str, float]) -> str:
    return f"{score['low']:+.4f} to {score['high']:+.4f}"


def interval_name(experiment: dict[str, Any]) -> str:
    """'95 % interval', as evaluate.confidence was when the run was evaluated."""
    return f"{percent(experiment['scores']['confidence'])} interval"


def _interval(score: dict[str, float], digits: int) -> str:
    return f"{score['low']:.{digits}f} to {score['high']:.{digits}f}"


def headline(experiment: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    """The result in sentences: size, losses, and whether the model beats the base rate."""
    axes, training = experiment["axes"], experiment["run"]
    skill, unit = experiment["scores"]["models"][MODEL]["skill"], loss_unit(experiment["axes"]["task"])
    if metrics["collapsed"]:
        verdict = "COLLAPSED: the model predicts a constant; its loss says nothing about the data"
    elif skill["low"] > 0:
        verdict = "better than the base rate"
    elif skill["high"] < 0:
        verdict = "worse than the base rate"
    else:
        verdict = "no skill established: the interval of skill contains zero"
    folds, losses = experiment["folds"], {name: unit.text(metrics[name]) for name in _LOSSES}
    walked = [f"walk-forward, {len(folds)} folds: {axes['scheme']}; losses are of all their test days"] if folds else []
    return [
        f"{axes['task']}, horizon {axes['horizon']}, {axes['timescale']}, tier {axes['tier']}, "
        f"{axes['source']} {data_set(axes['assets'], axes['quality'])}, seed {axes['seed']}",
        *walked,
        f"{training['params_total']:,} parameters counted for a budget of {axes['budget']}: embedding "
        f"{training['params_embedding']:,}, body {training['params_body']:,}, head {training['params_head']:,}",
        f"validation loss {losses['validation_loss']} {unit.unit}, "
        f"best epoch {training['best_epoch']} of {training['epochs_run']}",
        f"test loss {losses['test_loss']} ({losses['test_loss_low']} to {losses['test_loss_high']}) {unit.unit}",
        f"skill {skill['value']:+.4f} ({_interval(skill, 4)}): {verdict}",
        *cross_section_words(experiment),
    ]


_LOSSES = ("validation_loss", "test_loss", "test_loss_low", "test_loss_high")


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
        f"R² {scaling['r_squared']:.2f}; {scaling['verdict']}{power}{_foretold(scaling['forecast'])}{aside}"
    )


def _foretold(told: dict[str, Any] | None) -> str:
    """The forecast of the largest size beside its noise."""
    if told is None:
        return ""
    interval = f"{told['low']:+.2%} to {told['high']:+.2%} over {told['covers']}"
    return f"; the line through the smaller sizes foretells the largest {told['error']:+.2%} off ({interval})"


def summary_text(lines: list[str], tables: list[Table], scaling: str, figures: list[Path]) -> str:
    """One screen of result for a terminal."""
    return render("summary.txt.j2", lines=lines, tables=tables, scaling=scaling, figures=figures)


def report_text(lines: list[str], tables: list[Table], scaling: str, figures: list[Path], notes: list[str]) -> str:
    """The same result as Markdown, with its figures and how the numbers were made."""
    return render("report.md.j2", lines=lines, tables=tables, scaling=scaling, figures=figures, notes=notes)


def ranking_words(one: Ranking) -> dict[str, str]:
    """The names of the curves roc and recall with their numbers: 'PatchTST 0.601', 'PatchTST 0.365'."""
    return {"roc": f"{shown(one.model)} {one.area:.3f}", "recall": f"{shown(one.model)} {one.mean_precision:.3f}"}


def equity_table(accounts: pd.DataFrame) -> pd.DataFrame:
    """Capital (1 at the start) and drawdown of each account. accounts: plots/equity.csv."""
    parts = [
        pd.DataFrame(
            {"date": accounts["date"].astype(str), "name": name, "capital": np.cumprod(1 + accounts[column].to_numpy())}
        ).assign(drawdown=drawdown(accounts[column].to_numpy()))
        for column, name in (("return", MODEL), ("buy_and_hold", "buy_and_hold"), ("long_short", "long_short"))
        if column in accounts
    ]
    return pd.concat(parts, ignore_index=True).round(5)


def rolling_ic(ics: pd.DataFrame) -> pd.DataFrame:
    """date, name, rank IC: the mean of the last ROLLING days of each prediction. ics: of cross_section.daily_ic."""
    parts = [
        pd.DataFrame({"date": own["date"].dt.strftime("%Y-%m-%d"), "name": name,
                      "rank IC": own["rank_ic"].rolling(ROLLING).mean().round(5)}).dropna()
        for name, own in ics.groupby("model", sort=False)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["date", "name", "rank IC"])


def rolling_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """By date the mean of the last ROLLING sessions' {split,adaptive}_{covered,width}. rows: of conformal.conform."""
    return rows.drop(columns="asset").groupby("date").mean().rolling(ROLLING).mean()


def coverage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """rolling_coverage as date, name, coverage."""
    covered = rolling_coverage(rows)[["split_covered", "adaptive_covered"]].dropna()
    covered.columns = ["split", "adaptive"]
    covered.index = covered.index.strftime("%Y-%m-%d")
    return covered.rename_axis("date").reset_index().melt("date", var_name="name", value_name="coverage").round(4)
