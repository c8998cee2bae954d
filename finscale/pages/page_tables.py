"""The tables of the page: one list of rows for each, as templates/page.html.j2 shows them."""

from typing import Any

import numpy as np
import pandas as pd

from finscale.pages.run_tables import Table, interval_name
from finscale.pages.style import alpha_text, shown


def verdict(report: dict[str, Any] | None) -> dict[str, Any]:
    """kind: one word. words: a sentence. facts: the numbers behind it. report: today's, None where there is none."""
    if report is None or report["fit_results"] is None:
        nothing = "no run of these settings is in the ledger: `make pilot` runs a ladder"
        return {"kind": "undecidable", "words": report["interpretation"] if report else nothing, "facts": []}
    fit, points = report["fit_results"], report["data_points"]
    sizes = {point["params"] for point in points}
    interval = f"95 % over {fit['covers']}: {fit['alpha_low']:.4f} to {fit['alpha_high']:.4f}"
    facts = {
        f"exponent α ({interval})": f"{fit['alpha']:.4f}",
        "smallest exponent of interest (1 % per tenfold)": f"{fit['smallest_exponent_of_interest']:.4f}",
        "smallest exponent this design detects (80 % power)": _figure(fit["smallest_detectable_exponent"]),
        f"runs of {len(sizes)} sizes, {min(sizes):,} to {max(sizes):,} parameters": str(len(points)),
        "law that AICc prefers": report["law"] or "cannot be told",
    } | _forecast(report["forecast"])
    words = report["verdict_in_words"].removeprefix(f"{report['verdict']}: ")
    return {"kind": report["verdict"], "words": words, "facts": [(value, name) for name, value in facts.items()]}


def _forecast(told: dict[str, Any] | None) -> dict[str, str]:
    """The largest size foretold by the line through the others, beside the noise of seeds and days."""
    if told is None:
        return {}
    interval = f"95 % over {told['covers']}: {told['low']:+.2%} to {told['high']:+.2%}"
    return {
        f"loss of the largest size, foretold from the smaller ones, less measured ({interval})": f"{told['error']:+.2%}"
    }


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def law_table(report: dict[str, Any] | None) -> Table:
    return [_law_row(law) for law in report["laws"]] if report else []


def _law_row(law: dict[str, Any]) -> dict[str, object]:
    error, weight = law["extrapolation_error"], law["weight"]
    return {
        "law": law["law"],
        "unknowns": law["unknowns"],
        "AICc": "-" if law["aicc"] is None else f"{law['aicc']:.2f}",
        "Akaike weight": "-" if weight is None else f"{weight:.2f}",
        "largest size foretold with an error of": "-" if error is None else f"{100 * np.expm1(error):+.2f} %",
    }


def experiment_table(reports: list[dict[str, Any]], runs: pd.DataFrame) -> Table:
    """One row per curve; its name leads to its first run, its own settings are spelt out."""
    firsts = runs.drop_duplicates("experiment").set_index("experiment")
    rows = []
    for report in reports:
        fit, first = report["fit_results"], firsts.loc[report["experiment"]]
        row = {
            "experiment": report["experiment"],
            "settings of its own": "" if pd.isna(first["differs"]) else first["differs"],
            "runs": len(report["data_points"]),
            "α (95 % interval)": alpha_text(fit) if fit else "-",
            "R²": f"{fit['r_squared']:.2f}" if fit else "-",
            "verdict": report["verdict"],
            "law": report["law"] or "-",
        }
        rows.append(row | {"_href": f"#run-{first['key']}"})
    return rows


def other_score_table(experiment: dict[str, Any]) -> Table:
    return [
        {"on the test days": name.replace("_", " "), "value": f"{score['value']:.4f}",
         interval_name(experiment): f"{score['low']:.4f} to {score['high']:.4f}"}
        for name, score in experiment["scores"]["other"].items()
    ]  # fmt: skip


def comparison(compared: dict[str, Any], tried: dict[str, int], interval: str) -> dict[str, Any]:
    """compared: metrics/compare.json. tried: how many configurations, of metrics/trade.json.

    interval: what its intervals are called, of run_tables.interval_name.
    """
    spa = compared["superior_predictive_ability"]
    told = [
        f"{tried['on_these_labels']} configurations have been judged by these labels, {tried['in_ledger']} are in the "
        "ledger: the best of many looks good by chance.",
        f"Is any model better than the {shown(spa['benchmark'])}? Test of superior predictive ability (Hansen 2005): "
        f"p = {spa['p_value']:.3f}, the best is {shown(spa['best'])}.",
    ]
    differences = [
        {"loss of": shown(row["a"]), "minus loss of": shown(row["b"]),
         "difference": f"{row['value']:+.3g}", interval: f"{row['low']:+.3g} to {row['high']:+.3g}"}
        for row in compared["differences"]
    ]  # fmt: skip
    confidence = [
        {"model": shown(name), "p": f"{row['p_value']:.3f}", "in the set": "yes" if row["in_set"] else "no"}
        for name, row in compared["model_confidence_set"].items()
    ]
    return {"told": told, "differences": differences, "confidence": confidence}


def trading_table(traded: dict[str, Any], interval: str) -> Table:
    return [
        {
            "after costs, hypothetical": shown(name),
            "return a year": f"{score['annual_return']:+.1%}",
            "volatility a year": f"{score['annual_volatility']:.1%}",
            f"Sharpe ({interval})": "{value:.2f} ({low:.2f} to {high:.2f})".format(**score["sharpe"]),
            "probabilistic Sharpe": f"{score['probabilistic_sharpe']:.2f}",
            "deflated Sharpe": f"{score['deflated_sharpe']:.2f}",
            "largest drawdown": f"{score['maximum_drawdown']:.1%}",
            "turnover a year": f"{score['annual_turnover']:.1f}",
        }
        for name, score in traded.items()
        if name != "configurations"
    ]


def run_table(runs: pd.DataFrame) -> Table:
    """Every run in the ledger, with the line that makes it again. Its interval is of its own evaluate.confidence."""
    return [
        {
            "experiment": row["experiment"],
            "run": row["name"],
            "budget": row["budget"],
            "parameters": f"{row['params']:,}",
            "seed": row["seed"],
            "validation loss": f"{row['val_loss']:.5g}",
            "test loss (interval of the run)": "{test_loss:.5g} ({test_loss_low:.5g} to {test_loss_high:.5g})".format(
                **row
            ),
            "skill": f"{row['test_skill']:+.4f}",
            "collapsed": "yes" if row["collapsed"] else "no",
            "_again": row["again"],
            "_id": f"run-{row['key']}",
        }
        for row in runs.to_dict("records")
    ]


def decided(reports: list[dict[str, Any]]) -> list[str]:
    """A sentence for each curve of the ledger whose verdict is one: scaling, inverse or flat; real markets first."""
    found = [one for one in reports if one["verdict"] in ("scaling", "inverse", "flat")]
    found.sort(key=lambda one: one["experiment"].startswith("simulated"))
    return [f"{one['experiment']}: {one['verdict_in_words']}" for one in found]
