"""The study's result as one page: the verdict first, then the evidence, then where it came from."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.pages import charts
from finscale.pages.page import Page, Table, columns, package_versions, paragraphs, picture, table, verdict_block
from finscale.pages.run_curves import ROLLING, RunCurves
from finscale.pages.run_summary import headline, score_table, split_table, year_table

QUESTION = "Do transformers on daily market data obey scaling laws?"

_LINE_POINTS = 40
_ACCOUNT = (("capital", ".2f", 200), ("drawdown", ".1%", 120))  # column, form, height


@dataclass(frozen=True)
class Results:
    """What the page is made of.

    experiment, evaluated, splits, compared, traded: metrics/{experiment,evaluate,dataset,compare,trade}.json.
    study: the name of today's curve. figures: caption -> PNG of this run. isoflop: one sentence.
    reports: reports/scaling.json. runs: results/all_results.csv. reliability: predicted, observed, rows. losses:
    epoch, train, validation. manifest: data/raw/manifest.csv. pictures: caption -> SVG. inputs: file -> md5.
    """

    experiment: dict[str, Any]
    evaluated: dict[str, Any]
    splits: dict[str, dict[str, Any]]
    compared: dict[str, Any]
    traded: dict[str, Any]
    study: str
    reports: list[dict[str, Any]]
    runs: pd.DataFrame
    reliability: pd.DataFrame
    losses: pd.DataFrame
    manifest: pd.DataFrame
    pictures: dict[str, Path]
    figures: dict[str, Path]
    curves: RunCurves
    isoflop: str
    inputs: dict[str, str]
    notes: list[str]


def build_page(results: Results) -> Page:
    """All sections in the order in which a reader asks for them."""
    page = Page(QUESTION)
    _verdict(page, results)
    _curve(page, results)
    _experiments(page, results)
    _this_run(page, results)
    _curves(page, results.curves)
    _comparison(page, results)
    _trading(page, results)
    page.section("Pictures of this run", columns(*(picture(path, words) for words, path in results.figures.items())))
    _all_runs(page, results)
    _data(page, results)
    page.section("How to read this", paragraphs(results.notes))
    _provenance(page, results)
    return page


def _verdict(page: Page, results: Results) -> None:
    report = next((one for one in results.reports if one["experiment"] == results.study), None)
    if report is None or report["fit_results"] is None:
        words = (
            report["interpretation"]
            if report
            else "no run of these settings is in the ledger: `make pilot` runs a ladder"
        )
        page.section("Verdict", verdict_block("undecidable", words, []))
        return
    fit, points = report["fit_results"], report["data_points"]
    sizes = {point["params"] for point in points}
    facts: Table = [
        {
            "name": f"exponent α (95 % over {fit['covers']}: {fit['alpha_low']:.4f} to {fit['alpha_high']:.4f})",
            "value": f"{fit['alpha']:.4f}",
        },
        {
            "name": "smallest exponent of interest (1 % per tenfold)",
            "value": f"{fit['smallest_exponent_of_interest']:.4f}",
        },
        {
            "name": "smallest exponent this design detects (80 % power)",
            "value": _figure(fit["smallest_detectable_exponent"]),
        },
        {"name": f"runs of {len(sizes)} sizes, {min(sizes):,} to {max(sizes):,} parameters", "value": len(points)},
        {"name": "law that AICc prefers", "value": report["law"] or "cannot be told"},
    ]
    words = report["verdict_in_words"].removeprefix(f"{report['verdict']}: ")
    page.section("Verdict", verdict_block(report["verdict"], words, facts), f"<p>{results.study}</p>")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _curve(page: Page, results: Results) -> None:
    if results.runs.empty:
        return
    ordered = results.runs.sort_values("experiment", key=lambda names: names != results.study, kind="stable")
    chart = page.chart(
        "curve", charts.scaling_chart(ordered, _law_lines(results.reports)), "test loss against parameters"
    )
    report = next((one for one in results.reports if one["experiment"] == results.study), None)
    laws = [_law_row(law) for law in report["laws"]] if report else []
    parts = [chart, "<h3>Which law?</h3>", table(laws)] if laws else [chart]
    page.section("Scaling curve", *parts, "<h3>At equal compute</h3>", paragraphs([results.isoflop]))


def _law_lines(reports: list[dict[str, Any]]) -> pd.DataFrame:
    parts = []
    for report in reports:
        if fit := report["fit_results"]:
            sizes = [point["params"] for point in report["data_points"]]
            grid = np.geomspace(min(sizes), max(sizes), _LINE_POINTS)
            law = f"α = {_alpha(fit)}, R² = {fit['r_squared']:.2f}"
            loss = fit["coefficient"] * grid ** -fit["alpha"]
            parts.append(pd.DataFrame({"experiment": report["experiment"], "params": grid, "loss": loss, "law": law}))
    return (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["experiment", "params", "loss", "law"])
    )


def _law_row(law: dict[str, Any]) -> dict[str, object]:
    error, weight = law["extrapolation_error"], law["weight"]
    return {
        "law": law["law"],
        "unknowns": law["unknowns"],
        "AICc": "-" if law["aicc"] is None else f"{law['aicc']:.2f}",
        "Akaike weight": "-" if weight is None else f"{weight:.2f}",
        "largest size foretold with an error of": "-" if error is None else f"{100 * np.expm1(error):+.2f} %",
    }


def _experiments(page: Page, results: Results) -> None:
    rows: Table = [
        {
            "experiment": report["experiment"],
            "runs": len(report["data_points"]),
            "α (95 % interval)": _alpha(report["fit_results"]) if report["fit_results"] else "-",
            "R²": f"{report['fit_results']['r_squared']:.2f}" if report["fit_results"] else "-",
            "verdict": report["verdict"],
            "law": report["laws"][0]["law"] if report["laws"] else "-",
        }
        for report in results.reports
    ]
    pictures = [picture(path, caption) for caption, path in results.pictures.items()]
    page.section("All experiments", table(rows), columns(*pictures) if pictures else "")


def _this_run(page: Page, results: Results) -> None:
    scores = [
        {"name": "PatchTST" if name == "model" else name.replace("_", " "),
         "loss": score["loss"]["value"], "low": score["loss"]["low"], "high": score["loss"]["high"]}
        for name, score in results.experiment["scores"]["models"].items()
    ]  # fmt: skip
    scores.sort(key=lambda score: score["loss"])
    intervals = page.chart("scores", charts.interval_chart(scores), "test losses with intervals")
    page.section(
        "This run against its baselines",
        paragraphs(headline(results.experiment, results.evaluated)),
        table(list(score_table(results.experiment))),
        columns(intervals, table(_other_scores(results.experiment))),
        "<h3>By year of the test, against the base rate known before it</h3>",
        table(year_table(results.experiment)),
    )
    losses = page.chart("losses", charts.loss_chart(results.losses), "loss per epoch")
    parts = [f"<h3>Loss per epoch</h3>{losses}"]
    if len(results.reliability):
        chart = page.chart(
            "reliability", charts.reliability_chart(results.reliability), "observed against predicted rates"
        )
        parts.insert(0, f"<h3>Reliability on the test days, ten equal bins</h3>{chart}")
    page.section("Reliability and training", columns(*parts))


def _curves(page: Page, curves: RunCurves) -> None:
    """What can be hovered over: ranking, equity with drawdown, coverage over time."""
    share = float(curves.precision_recall.groupby("name")["y"].first().iloc[0])
    roc = charts.ranking_chart(curves.roc, "false positive rate", "true positive rate", [(0.0, 0.0), (1.0, 1.0)])
    recall = charts.ranking_chart(curves.precision_recall, "recall", "precision", [(0.0, share), (1.0, share)])
    page.section(
        "Ranking",
        columns(
            "<h3>ROC, with its area</h3>" + page.chart("roc", roc, "true against false positive rates"),
            "<h3>Precision and recall, with the mean precision</h3>"
            + page.chart("precision-recall", recall, "precision against recall"),
        ),
        "<p>A click on a name singles it out; shift and click adds one.</p>",
    )
    equity, drawdown = (charts.daily_chart(curves.equity, *one) for one in _ACCOUNT)
    coverage = charts.daily_chart(curves.coverage, "coverage", ".0%", 220, curves.level)
    page.section(
        "Test days",
        "<h3>Hypothetical capital after costs, and its drawdown</h3>",
        page.chart("equity", equity, "capital by day"),
        page.chart("drawdown", drawdown, "drawdown by day"),
        f"<h3>Conformal coverage, mean of {ROLLING} sessions, {curves.level:.0%} promised</h3>",
        page.chart("coverage", coverage, "coverage by day"),
    )


def _other_scores(experiment: dict[str, Any]) -> Table:
    return [
        {"on the test days": name.replace("_", " "), "value": f"{score['value']:.4f}",
         "95 % interval": f"{score['low']:.4f} to {score['high']:.4f}"}
        for name, score in experiment["scores"]["other"].items()
    ]  # fmt: skip


def _comparison(page: Page, results: Results) -> None:
    compared, spa = results.compared, results.compared["superior_predictive_ability"]
    told = [
        f"{compared['configurations']['on_these_labels']} configurations have been judged by these labels, "
        f"{compared['configurations']['in_ledger']} are in the ledger: the best of many looks good by chance.",
        f"Is any model better than the {spa['benchmark'].replace('_', ' ')}? Test of superior predictive ability "
        f"(Hansen 2005): p = {spa['p_value']:.3f}, the best is {spa['best'].replace('_', ' ')}.",
    ]
    differences: Table = [
        {"loss of": row["a"].replace("_", " "), "minus loss of": row["b"].replace("_", " "),
         "difference": f"{row['value']:+.5f}", "95 % interval": f"{row['low']:+.5f} to {row['high']:+.5f}"}
        for row in compared["differences"]
    ]  # fmt: skip
    confidence: Table = [
        {"model": name.replace("_", " "), "p": f"{row['p_value']:.3f}", "in the set": "yes" if row["in_set"] else "no"}
        for name, row in compared["model_confidence_set"].items()
    ]
    heading = "<h3>Model confidence set: not told from the best</h3>"
    page.section(
        "Compared on the same days", paragraphs(told), columns(table(differences), heading + table(confidence))
    )


def _trading(page: Page, results: Results) -> None:
    rows: Table = [
        {
            "after costs, hypothetical": name.replace("_", " "),
            "return a year": f"{score['annual_return']:+.1%}",
            "volatility a year": f"{score['annual_volatility']:.1%}",
            "Sharpe (95 % interval)": "{value:.2f} ({low:.2f} to {high:.2f})".format(**score["sharpe"]),
            "probabilistic Sharpe": f"{score['probabilistic_sharpe']:.2f}",
            "deflated Sharpe": f"{score['deflated_sharpe']:.2f}",
            "largest drawdown": f"{score['maximum_drawdown']:.1%}",
            "turnover a year": f"{score['annual_turnover']:.1f}",
        }
        for name, score in results.traded.items()
        if isinstance(score, dict)
    ]
    page.section("Trading (secondary)", table(rows))


def _all_runs(page: Page, results: Results) -> None:
    rows: Table = [
        {
            "experiment": row["experiment"],
            "run": row["name"],
            "budget": row["budget"],
            "parameters": f"{row['params']:,}",
            "seed": row["seed"],
            "validation loss": f"{row['val_loss']:.5f}",
            "test loss": f"{row['test_loss']:.5f}",
            "skill": f"{row['test_skill']:+.4f}",
            "collapsed": "yes" if row["collapsed"] else "no",
        }
        for row in results.runs.to_dict("records")
    ]
    page.section("All runs in the ledger", table(rows))


def _data(page: Page, results: Results) -> None:
    shown = results.manifest[["series", "kind", "origin", "first", "last", "rows", "md5", "notes"]]
    splits = table(list(split_table(results.splits)))
    page.section("Data coverage", splits, "<h3>Raw series</h3>", table(_rows(shown)))


def _provenance(page: Page, results: Results) -> None:
    mine = results.runs[results.runs["experiment"] == results.study]
    versions: pd.DataFrame = mine.groupby(["code", "data", "commit"]).size().reset_index(name="runs")
    environment: Table = [{"package": "python", "version": platform.python_version()}, *package_versions()]
    inputs: Table = [{"input": name, "md5": md5} for name, md5 in results.inputs.items()]
    page.section(
        "Provenance",
        "<h3>Runs of the curve, by hash of code and of raw data</h3>",
        table(_rows(versions)),
        columns("<h3>Inputs of this page</h3>" + table(inputs), "<h3>Environment</h3>" + table(environment)),
    )


def _rows(frame: pd.DataFrame) -> Table:
    rows: Table = frame.to_dict("records")
    return rows


def _alpha(fit: dict[str, Any]) -> str:
    return f"{fit['alpha']:.4f} ({fit['alpha_low']:.4f} to {fit['alpha_high']:.4f})"
