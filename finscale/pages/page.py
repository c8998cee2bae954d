"""The study's result as one page that loads nothing: the verdict first, then the evidence, then where it came from.

What is told stands here as tables and charts, how it reads in templates/page.html.j2. Vega comes from the page that
`dvc plots` uses, so that the repository holds it once. The same input gives the same bytes: no date, no machine, no
absolute path goes in.
"""

import base64
import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.errors import InputError
from finscale.evaluation.ranking import Ranking
from finscale.pages import charts, page_tables, style
from finscale.pages.charts import Chart
from finscale.pages.findings import finding_table, unseen_table, unseen_words
from finscale.pages.many import series_table
from finscale.pages.render import render
from finscale.pages.run_tables import (
    ROLLING,
    Table,
    cross_section_table,
    cross_section_words,
    headline,
    interval_name,
    score_rows,
    score_table,
    split_table,
    year_table,
)
from finscale.pages.style import LossUnit, alpha_text, loss_unit
from finscale.storage import read_text

QUESTION = "Do transformers on daily market data obey scaling laws?"

# What decides numbers or their form; the rest stands in requirements.txt.
PACKAGES = (
    "torch", "transformers", "numpy", "scipy", "pandas", "scikit-learn", "catboost", "arch", "matplotlib", "dvc",
)  # fmt: skip

_LIBRARIES = ("vega", "vega-lite", "vega-embed")
_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?%?( .*)?")
_SERIES = ("series", "kind", "origin", "first", "last", "rows", "md5", "notes")
_ACCOUNT = (("capital", ".2f", 200), ("drawdown", ".1%", 120))  # column, form, height


@dataclass(frozen=True)
class Results:
    """What the page is made of.

    experiment, evaluated, splits, compared, traded: metrics/{experiment,evaluate,dataset,compare,trade}.json.
    study: the name of today's curve. reports: reports/scaling.json. runs: results/all_results.csv. by_compute:
    sentences about equal compute. reliability: predicted, observed, rows, low, high. losses: epoch, train, validation.
    rankings, share: of the test rows, and the share of positives among them. equity, coverage, rank_ic: of run_tables.
    manifest: data/raw/manifest.csv. findings: reports/validation.json.
    figures: caption -> SVG or PNG of all experiments, own_figures of this run. size_by_data: of each group of curves
    that differ in size and data its name, what is said of it (the law first), and its picture.
    inputs: file -> md5.
    """

    experiment: dict[str, Any]
    evaluated: dict[str, Any]
    splits: dict[str, dict[str, Any]]
    compared: dict[str, Any]
    traded: dict[str, Any]
    study: str
    reports: list[dict[str, Any]]
    runs: pd.DataFrame
    by_compute: list[str]
    reliability: pd.DataFrame
    losses: pd.DataFrame
    rankings: list[Ranking]
    share: float
    equity: pd.DataFrame
    coverage: pd.DataFrame
    rank_ic: pd.DataFrame
    manifest: pd.DataFrame
    findings: list[dict[str, Any]]
    figures: dict[str, Path]
    own_figures: dict[str, Path]
    inputs: dict[str, str]
    notes: list[str]
    size_by_data: list[tuple[str, list[str], Path]] = field(default_factory=list)

    @property
    def unit(self) -> LossUnit:
        return loss_unit(self.experiment["axes"]["task"])


def page_text(results: Results, plots_page: Path) -> str:
    """The page. plots_page: .dvc/plots/offline.html, which holds Vega. Raises InputError where it does not."""
    report = next((one for one in results.reports if one["experiment"] == results.study), None)
    return render(
        "page.html.j2",
        title=QUESTION,
        libraries=inlined_libraries(plots_page),
        variables={scheme: style.variables(dark) for scheme, dark in (("light", False), ("dark", True))},
        charts=_charts(results),
        verdict=page_tables.verdict(report),
        study=results.study,
        laws=page_tables.law_table(report),
        by_compute=results.by_compute,
        decided=page_tables.decided(results.reports),
        size_by_data=[
            {"name": name, "law": words[0], "lines": words[1:], "pictures": _pictures({f"size by data: {name}": path})}
            for name, words, path in results.size_by_data
        ],
        experiments=page_tables.experiment_table(results.reports, results.runs),
        figures=_pictures(results.figures),
        headline=[*headline(results.experiment, results.evaluated), *unseen_words(results.experiment)],
        unseen=unseen_table(results.experiment),
        findings=finding_table(results.findings),
        scores=score_table(results.experiment),
        other_scores=page_tables.other_score_table(results.experiment),
        years=year_table(results.experiment),
        cross_sections=[cross_section_table(results.experiment, second) for second in (False, True)],
        cross_section_words=[*cross_section_words(results.experiment), *cross_section_words(results.experiment, True)],
        binary=len(results.reliability) > 0,
        rolling=ROLLING,
        level=results.experiment["scores"]["conformal"]["level"],
        compared=page_tables.comparison(
            results.compared, results.traded["configurations"], interval_name(results.experiment)
        ),
        traded=page_tables.trading_table(results.traded, interval_name(results.experiment)),
        own_figures=_pictures(results.own_figures),
        runs=page_tables.run_table(results.runs),
        splits=split_table(results.splits),
        series=series_table(results.manifest),
        notes=results.notes,
        versions=_versions(results),
        inputs=[{"input": name, "MD5 of the file": md5, "_href": f"../{name}"} for name, md5 in results.inputs.items()],
        environment=[{"package": "python", "version": platform.python_version()}, *package_versions()],
        numeric=numeric_columns,
    )


def numeric_columns(rows: Table) -> set[str]:
    """The columns whose every value begins with a number, or is empty or a dash: they stand to the right."""
    names = [name for name in rows[0] if not name.startswith("_")] if rows else []
    return {name for name in names if all(_NUMBER.fullmatch(str(row[name])) or row[name] in ("", "-") for row in rows)}


def inlined_libraries(plots_page: Path) -> str:
    """The <script> elements of Vega, Vega-Lite and Vega-Embed in DVC's plots template, in that order."""
    scripts = re.findall(r"<script>.*?</script>", read_text(plots_page), flags=re.DOTALL)
    for name in _LIBRARIES:
        if not any(script.startswith(f"<script>/* {name} ") for script in scripts):
            raise InputError(f"{plots_page}: no <script> begins with /* {name} <version>; restore it from git")
    return "\n".join(scripts)


def package_versions() -> Table:
    return [{"package": name, "version": version(name)} for name in PACKAGES]


def _charts(results: Results) -> dict[str, Chart]:
    """Id -> chart; the template says where each stands."""
    unit, level = results.unit, results.experiment["scores"]["conformal"]["level"]
    drawn: dict[str, Chart] = {}
    if len(results.runs):
        ordered = results.runs.sort_values("experiment", key=lambda names: names != results.study, kind="stable")
        drawn["curve"] = charts.scaling_chart(ordered, _law_lines(results.reports))
    drawn["scores"] = charts.interval_chart(score_rows(results.experiment), unit)
    if len(results.reliability):
        drawn["reliability"] = charts.reliability_chart(results.reliability)
    drawn["losses"] = charts.loss_chart(results.losses, unit)
    diagonal, flat = [(0.0, 0.0), (1.0, 1.0)], [(0.0, results.share), (1.0, results.share)]
    rates = ("false positive rate", "true positive rate")
    drawn["roc"] = charts.ranking_chart(results.rankings, "roc", rates, diagonal)
    drawn["precision-recall"] = charts.ranking_chart(results.rankings, "recall", ("recall", "precision"), flat)
    drawn |= {one[0]: charts.daily_chart(results.equity, *one) for one in _ACCOUNT}
    if len(results.rank_ic):
        drawn["rank-ic"] = charts.daily_chart(results.rank_ic, "rank IC", "+.2f", 220, 0.0)
    return drawn | {"coverage": charts.daily_chart(results.coverage, "coverage", ".0%", 220, level)}


def _law_lines(reports: list[dict[str, Any]]) -> pd.DataFrame:
    """experiment, params, loss, low, high, law and covers along each fitted law."""
    parts = []
    for report in reports:
        if fit := report["fit_results"]:
            told = {"experiment": report["experiment"], **report["band"]}
            told["law"] = f"α = {alpha_text(fit)}, R² = {fit['r_squared']:.2f}"
            parts.append(pd.DataFrame(told))
    names = ["experiment", "params", "loss", "low", "high", "law", "covers"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)


def _pictures(files: dict[str, Path]) -> list[dict[str, str]]:
    """SVG or PNG files as data, inside the page. words: what a screen reader says."""
    kinds = {".svg": "image/svg+xml", ".png": "image/png"}
    return [
        {"words": words, "kind": kinds[path.suffix], "data": base64.b64encode(path.read_bytes()).decode()}
        for words, path in files.items()
    ]


def _versions(results: Results) -> Table:
    """What the runs of today's curve were made of."""
    mine = results.runs[results.runs["experiment"] == results.study]
    counted = mine.fillna({"settings": ""}).groupby(["code", "data", "settings", "commit"]).size()
    return counted.reset_index(name="runs").to_dict("records")
