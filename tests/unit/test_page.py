"""The page opens without a network, draws its charts and sorts its tables."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from finscale.errors import InputError
from finscale.pages.page import Page, inlined_libraries, render, table
from finscale.pages.run_curves import RunCurves, coverage_table, equity_table, precision_recall_table, roc_table
from finscale.pages.study_page import Results, build_page
from finscale.scaling.isoflop import isoflop_words, runs_by_compute
from finscale.scaling.ledger import read_ledger
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import export_results_csv, load_experiment_results
from finscale.scaling.settings import read_settings

TEMPLATE, PLOTS_PAGE = Path("finscale/page.html"), Path(".dvc/plots/offline.html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=8000", "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom",
]  # fmt: skip


CHARTS = (
    "curve", "scores", "reliability", "losses", "roc", "precision-recall", "equity", "drawdown", "coverage",
)  # fmt: skip
STUDY = "bundled-Aa-daily-a20-threshold_1pct-h5"


def some_curves() -> RunCurves:
    """Of a model that knows something, on the days of the committed account; predictions are DVC's to keep."""
    equity = pd.read_csv("plots/equity.csv")
    rng, days = np.random.default_rng(0), pd.to_datetime(equity["date"])
    label = rng.integers(0, 2, len(days)).astype(float)
    test = pd.DataFrame({"model": label + rng.normal(size=len(days)), "logistic": rng.normal(size=len(days))})
    covered = pd.DataFrame(rng.random((len(days), 2)) < 0.9, columns=["split_covered", "adaptive_covered"])
    return RunCurves(
        roc=roc_table(test, ["model", "logistic"], label),
        precision_recall=precision_recall_table(test, ["model", "logistic"], label),
        equity=equity_table(equity),
        coverage=coverage_table(covered.astype(float).assign(date=days, asset="A")),
        level=0.9,
    )


@pytest.fixture(scope="module")
def results() -> Results:
    """The committed results of the repository; what DVC keeps (loss curves, raw manifest) is written out here."""
    loaded = load_experiment_results(Path("results/ledger.csv"))
    names = sorted(set(loaded["experiment"]))
    return Results(
        experiment=json.loads(Path("metrics/experiment.json").read_text()),
        evaluated=json.loads(Path("metrics/evaluate.json").read_text()),
        splits=json.loads(Path("metrics/dataset.json").read_text()),
        compared=json.loads(Path("metrics/compare.json").read_text()),
        traded=json.loads(Path("metrics/trade.json").read_text()),
        study=STUDY,
        reports=[generate_scaling_report(loaded, name) for name in names],
        runs=export_results_csv(loaded),
        reliability=pd.read_csv("plots/reliability.csv"),
        losses=pd.DataFrame({"epoch": [1, 2, 3], "train": [0.7, 0.6, 0.5], "validation": [0.68, 0.62, 0.66]}),
        manifest=pd.DataFrame(
            [
                {
                    "series": "SP500",
                    "kind": "prices",
                    "origin": "arch",
                    "first": "1999-01-04",
                    "last": "2018-12-31",
                    "rows": 5031,
                    "md5": "0" * 32,
                    "notes": "",
                }
            ]
        ),
        pictures={},
        figures={"coverage": Path("plots/coverage.png")},
        curves=some_curves(),
        isoflop=isoflop_words(
            runs_by_compute(
                read_ledger(Path("results/ledger.csv")), STUDY, read_settings(Path("results/settings.json"))
            )
        ),
        inputs={"results/all_results.csv": "0" * 32},
        notes=["a note with <angle brackets> & an ampersand"],
    )


@pytest.fixture(scope="module")
def text(results: Results) -> str:
    return render(build_page(results), TEMPLATE, PLOTS_PAGE)


def in_chromium(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The page's elements after its scripts have run, and what they wrote to the console."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install chromium to test the page as a browser shows it")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_loads_nothing(text: str) -> None:
    loads: list[str] = []

    class Loader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            loads.extend(value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action"))

    Loader().feed(text)
    assert all(address.startswith("data:") for address in loads)
    assert "default-src 'none'" in text


def test_the_same_results_give_the_same_bytes(results: Results, text: str) -> None:
    assert render(build_page(results), TEMPLATE, PLOTS_PAGE) == text


def test_the_verdict_comes_first(text: str, results: Results) -> None:
    shown = text[text.index("<main>") :]
    kind = next(one["verdict"] for one in results.reports if one["experiment"] == results.study)
    assert shown.index(f'class="verdict {kind}"') < shown.index('id="scaling-curve"')
    headings = re.findall(r"<h2>(.*?)</h2>", shown)
    for wanted in ("Verdict", "Scaling curve", "This run against its baselines", "Data coverage", "Provenance"):
        assert wanted in headings


def test_text_from_outside_cannot_become_markup(text: str) -> None:
    assert "a note with &lt;angle brackets&gt; &amp; an ampersand" in text
    page = Page("t")
    page.section("s", page.chart("c", {"data": {"values": [{"name": "</script><b>"}]}}, "a chart"))
    assert "</script><b>" not in render(page, TEMPLATE, PLOTS_PAGE)


def test_a_browser_draws_every_chart_and_reports_no_error(text: str, results: Results, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(text)
    dom, console = in_chromium(tmp_path / "index.html", tmp_path / "profile")
    assert console == []
    for name in CHARTS:
        chart = re.search(rf'<div class="chart[^"]*" id="{name}".*?</svg>', dom, flags=re.DOTALL)
        assert chart, f"{name} was not drawn"
        assert chart[0].count("<path") > 10
    curve = re.search(r'id="curve".*?</svg>', dom, flags=re.DOTALL)
    assert curve
    drawn = results.runs[results.runs["experiment"] == STUDY]
    assert curve[0].count('aria-roledescription="circle"') == len(drawn)
    assert drawn["name"].iloc[0] in curve[0]  # hovering names the run


def test_the_page_says_which_runs_an_isoflop_profile_lacks(text: str) -> None:
    assert re.search(r"needs 4 sizes at each of 3 levels .* missing are runs .* budget=\d+K train.epochs=\d+", text)


def test_curves_are_scikit_learn_s_and_short() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 5000).astype(float)
    test = pd.DataFrame({"model": label + rng.normal(size=5000)})
    roc = roc_table(test, ["model"], label)
    assert len(roc) <= 150
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(roc_auc_score(label, test["model"]), abs=2e-3)
    assert roc["name"][0] == f"PatchTST {roc_auc_score(label, test['model']):.3f}"
    recall = precision_recall_table(test, ["model"], label)
    assert recall[["x", "y"]].iloc[[0, -1]].to_numpy() == pytest.approx(np.array([[1, label.mean()], [0, 1]]), abs=1e-4)


def test_equity_and_coverage_are_those_of_the_tables() -> None:
    accounts = pd.DataFrame({"date": ["2020-01-02", "2020-01-03"], "return": [0.1, -0.5], "buy_and_hold": [0.0, 0.2]})
    model = equity_table(accounts).query("name == 'model'")
    assert model["capital"].tolist() == pytest.approx([1.1, 0.55])
    assert model["drawdown"].tolist() == pytest.approx([0, -0.5])
    days = pd.bdate_range("2020-01-01", periods=70)
    rows = pd.DataFrame({"date": days, "asset": "A", "split_covered": 1.0, "adaptive_covered": [0.0] * 35 + [1.0] * 35})
    adaptive = coverage_table(rows).query("name == 'adaptive'")
    assert adaptive["coverage"].iloc[[0, -1]].tolist() == pytest.approx([25 / 60, 35 / 60], abs=1e-4)


def test_a_chart_that_cannot_be_drawn_is_seen_by_the_test_above(tmp_path: Path) -> None:
    page = Page("t")
    page.section("s", page.chart("c", {"data": {"url": "https://example.org/points.json"}, "mark": "point"}, "a chart"))
    (tmp_path / "index.html").write_text(render(page, TEMPLATE, PLOTS_PAGE))
    assert in_chromium(tmp_path / "index.html", tmp_path / "profile")[1] != []


def test_a_click_sorts_numbers_as_numbers(tmp_path: Path) -> None:
    page = Page("t")
    page.section("s", table([{"n": "1,200", "b": "10K"}, {"n": "90", "b": "2M"}, {"n": "300", "b": "300K"}]))
    clicks = "<script>document.querySelectorAll('th button')[{}].click()</script></body>"
    for column, order in ((0, ["90", "300", "1,200"]), (1, ["1,200", "300", "90"])):
        shown = render(page, TEMPLATE, PLOTS_PAGE).replace("</body>", clicks.format(column))
        (tmp_path / "sorted.html").write_text(shown)
        dom, console = in_chromium(tmp_path / "sorted.html", tmp_path / "profile")
        assert console == []
        assert re.findall(r"<tr><td[^>]*>([\d,]+)</td>", dom) == order


def test_a_broken_plots_page_is_named(tmp_path: Path) -> None:
    (tmp_path / "offline.html").write_text("<script>/* vega 5 */</script>")
    with pytest.raises(InputError, match="no <script> begins with /\\* vega-lite"):
        inlined_libraries(tmp_path / "offline.html")
