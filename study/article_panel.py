"""The panel as the article tells it: size by data, as the stage `scaling` judges it (reports/data_laws.json)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.pages.render import markdown_table
from finscale.scaling.data_grid import ESTABLISHED

FIGURES = Path("plots/scaling")
_RIVALS = {"catboost": "CatBoost", "har": "HAR-RV", "garch": "GARCH"}
_NOT_RUN = "*Not run yet: the ledger holds this panel on one number of stocks alone.*"
_SMALL = 0.1  # percent, below which one digit says nothing


def ladder_values(
    laws: Sequence[Mapping[str, Any]], runs: pd.DataFrame, reports: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Tables, figure, changes and law of `volatility` on the panel; sentences that say so where it has not been run.

    laws: of data_laws. runs: of load_experiment_results. reports: of the stage `scaling`, by experiment.
    """
    own = [one for one in laws if one["experiment"].startswith("directory-all-") and one["task"] == "volatility"]
    own = sorted((one for one in own if "cells" in one["grid"]), key=lambda one: one["runs"])
    law: Mapping[str, Any] = own[-1] if own else {"grid": {"cells": [], "changes": []}}
    changes, figure = law["grid"]["changes"], FIGURES / f"grid-{law.get('experiment')}.png"
    of_panel = panel_runs(runs)
    words = verdicts(of_panel, reports)
    yield "ladder.table", table(law["grid"]["cells"]) if own else _NOT_RUN
    yield "ladder.figure", f"![Size by data, and loss by training windows.](../{figure})" if figure.exists() else ""
    yield "ladder.windows", along_stocks(changes) if own else _NOT_RUN
    yield "ladder.sizes", along_sizes(changes, words) if own else _NOT_RUN
    yield "ladder.verdict", list(words.values())[-1][1] if words else "not run yet"
    yield "ladder.law", law["words"][0].removeprefix(f"{law['experiment']}: ") if own else "not run yet"
    devices = of_panel.groupby("device").size().items()
    yield "ladder.devices", ", ".join(f"{runs} on {device}" for device, runs in devices)
    yield "ladder.abstract", _abstract(changes)


def panel_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of `volatility` on parts of the panel, of the settings that most of them have."""
    own = runs[(runs["source"] == "directory") & (runs["assets"] == "all") & (runs["task"] == "volatility")]
    own = own[own["symbols"].astype(str) != "all"]
    return own[own["differs"].isin(own["differs"].mode())].sort_values("train_symbols")


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


def along_stocks(changes: Sequence[Mapping[str, Any]]) -> str:
    """A row per size and for CatBoost: the change from the fewest stocks to the most, and of the last step."""
    rows: dict[str, dict[str, str]] = {}
    for one in changes:
        if one["along"] == "training windows":
            name = "CatBoost" if one["model"] == "catboost" else str(one["at"])
            row = rows.setdefault(name, {"parameters": name})
            row[f"{one['first']} to {one['last']}"] = _judged(one)
    return markdown_table(list(rows.values()))


def along_sizes(changes: Sequence[Mapping[str, Any]], words: Mapping[str, tuple[str, str]]) -> str:
    """A row per number of stocks: the change along size on unseen stocks; the report's exponent and word on its own."""
    return markdown_table([
        {
            "trained on": str(one["at"]), f"{one['first']} to {one['last']}, unseen stocks": _judged(one),
            "alpha, later days of its own": words.get(one["at"], ("-", "-"))[0],
            "the report's word": words.get(one["at"], ("-", "-"))[1],
        }
        for one in changes
        if one["along"] == "parameters"
    ])  # fmt: skip


def _judged(one: Mapping[str, Any]) -> str:
    if one["adjusted_p"] is None:
        return percent(one)
    return f"{percent(one)}, {'' if one['adjusted_p'] < ESTABLISHED else 'not '}established"


def _abstract(changes: Sequence[Mapping[str, Any]]) -> str:
    """The smallest model along stocks, and the most stocks along size."""
    of_data, of_size = (
        [one for one in changes if one["along"] == along and one["model"] == "model"]
        for along in ("training windows", "parameters")
    )
    if not of_data or not of_size:
        return "How that changes with more stocks and more parameters has not been run yet."
    data, size = of_data[0], of_size[-1]
    along_data = f"From {data['first']} to {data['last']} the loss of {data['at']} parameters"
    along_size = f"from {size['first']} to {size['last']} parameters, trained on {size['at']}"
    return f"{along_data} on stocks that never trained changes by {percent(data)}; {along_size}, by {percent(size)}."


def percent(change: Mapping[str, float]) -> str:
    """'-15.5 % (-17.2 to -13.6)' of a log ratio: change, low, high."""
    return "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * np.expm1(change[one]) for one in ("change", "low", "high")))


def verdicts(of_panel: pd.DataFrame, reports: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Exponent and word of each ladder of sizes, on later days of the stocks that trained; fewest first."""
    told = {}
    for symbols, same in of_panel.groupby("symbols", sort=False):
        report = reports.get(same["experiment"].iloc[0])
        if report and report["fit_results"]:
            name = f"{symbols} symbol{'' if str(symbols) == '1' else 's'}"
            told[name] = (exponent(report["fit_results"]), str(report["verdict"]))
    return told


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
