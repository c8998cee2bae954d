"""The panel as the article tells it: size by data, as the stage `scaling` judges it (reports/data_laws.json)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.pages.render import markdown_table

FIGURES = Path("plots/scaling")
_RIVALS = {"catboost": "CatBoost", "har": "HAR-RV", "garch": "GARCH"}
_NOT_RUN = "*Not run yet: the ledger holds this panel on one number of stocks alone.*"
_SMALL = 0.1  # percent, below which one digit says nothing


def ladder_values(
    laws: Sequence[Mapping[str, Any]], runs: pd.DataFrame, reports: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Table, figure, exponents and law of `volatility` on the panel; sentences that say so where it has not been run.

    laws: of data_laws. runs: of load_experiment_results. reports: of the stage `scaling`, by experiment.
    """
    own = [one for one in laws if one["experiment"].startswith("directory-all-") and one["task"] == "volatility"]
    own = sorted((one for one in own if "cells" in one["grid"]), key=lambda one: one["runs"])
    law: Mapping[str, Any] = own[-1] if own else {"grid": {"cells": [], "lines": []}}
    lines, figure = law["grid"]["lines"], FIGURES / f"grid-{law.get('experiment')}.png"
    yield "ladder.table", table(law["grid"]["cells"]) if own else _NOT_RUN
    yield "ladder.figure", f"![Size by data, and loss by training windows.](../{figure})" if figure.exists() else ""
    for name, along in (("windows", "training windows"), ("sizes", "parameters")):
        told = [f"- {line['words']}" for line in lines if line["along"] == along]
        yield f"ladder.{name}", "\n".join(told) or "- not run yet"
    yield "ladder.law", law["words"][0].removeprefix(f"{law['experiment']}: ") if own else "not run yet"
    yield "ladder.abstract", _abstract(lines)
    yield "ladder.verdicts", _verdicts(runs, reports)


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """A row per number of stocks: mean loss by size with the number of seeds, and the baselines' losses."""
    whole = pd.DataFrame(cells)
    sizes = whole.sort_values("params")["budget"].drop_duplicates()
    rows = []
    for data, same in whole.groupby("data", sort=False):
        row = {"trained on": str(data), "training windows": f"{same['windows'].max():,}"}
        for size in sizes:
            one = same[same["budget"] == size]
            row[str(size)] = f"{one['loss'].iloc[0]:.4f} ({one['seeds'].iloc[0]})" if len(one) else "-"
        known = {name: same[rival].mean() for rival, name in _RIVALS.items() if rival in same}
        rows.append(row | {name: f"{loss:.4f}" for name, loss in known.items()})
    return markdown_table(rows)


def _abstract(lines: Sequence[Mapping[str, Any]]) -> str:
    """The smallest model along windows, and the most stocks along size."""
    told = [
        f"{one['at']}, per tenfold of {along}, by {_change(one)}"
        for along, place in (("training windows", 0), ("parameters", -1))
        for one in [line for line in lines if line["along"] == along and line["model"] == "model"][place:][:1]
    ]
    if not told:
        return "How that changes with more stocks and more parameters has not been run yet."
    return f"The loss on stocks that never trained changes so: {'; '.join(told)}."


def _change(line: Mapping[str, Any]) -> str:
    low, high = tenfold(line["high"]), tenfold(line["low"])
    return f"{tenfold(line['exponent'])} % ({low} to {high})"


def _verdicts(runs: pd.DataFrame, reports: Mapping[str, Any]) -> str:
    """What the report says of each curve of size, on later days of the stocks that trained."""
    own = runs[(runs["source"] == "directory") & (runs["assets"] == "all") & (runs["task"] == "volatility")]
    own = own[(own["symbols"].astype(str) != "all") & own["experiment"].isin(reports)]
    told = []  # of the settings that most runs have
    for stocks, same in own[own["differs"].isin(own["differs"].mode())].groupby("train_symbols"):
        report = reports[same["experiment"].iloc[0]]
        if report["fit_results"]:
            told.append(f"{stocks:.0f} stocks {exponent(report['fit_results'])}, {report['verdict']}")
    return "; ".join(told) or "not run yet"


def tenfold(alpha: float) -> str:
    """Percent by which the loss changes with ten times the size: '-6.2'."""
    change = 100 * (10**-alpha - 1)
    return f"{change:+.{1 if abs(change) >= _SMALL else 2}f}"


def exponent(fit: Mapping[str, float]) -> str:
    """alpha of a report's fit_results with its interval, in as many digits as that takes."""
    return spread(fit["alpha"], fit["alpha_low"], fit["alpha_high"], 4 if fit["alpha_high"] > 0.001 else 5)


def spread(value: float, low: float, high: float, digits: int) -> str:
    """'0.0081 (-0.0117 to 0.0279)'."""
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
