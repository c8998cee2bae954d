"""The page opens without a network, draws its charts, sorts its tables, prints whole, and answers to a finger."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.evaluation.ranking import rankings
from finscale.pages import style
from finscale.pages.findings import finding_table
from finscale.pages.page import Results, inlined_libraries, page_text
from finscale.pages.run_tables import coverage_table, equity_table, rolling_ic
from finscale.scaling.isoflop import isoflop_words, runs_by_compute
from finscale.scaling.ledger import read_ledger
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import export_results_csv, load_experiment_results
from finscale.scaling.settings import read_settings
from tests.browser import Browser, Tab

PLOTS_PAGE, LEDGER = Path(".dvc/plots/offline.html"), Path("results/ledger.csv")
CHARTS = (
    "curve", "scores", "reliability", "losses", "roc", "precision-recall", "capital", "drawdown", "coverage",
)  # fmt: skip
STUDY = "bundled-Aa-daily-a20-threshold_1pct-h5"
LINE = "dvc exp run -S budget=10K -S seed=0"
HOSTILE = "</script><img src=x onerror=\"console.error('ran')\">\u2028${alert(1)} `'\"&"
DRAWN = f"document.querySelectorAll('.chart svg').length === {len(CHARTS)}"


def some_curves() -> dict[str, object]:
    """Of a model that knows something, on the days of the committed account; predictions are DVC's to keep."""
    equity = pd.read_csv("plots/equity.csv")
    rng, days = np.random.default_rng(0), pd.to_datetime(equity["date"])
    label = rng.integers(0, 2, len(days)).astype(float)
    persistence = np.where(rng.random(len(days)) < 0.5, 0.3, 0.4)
    test = pd.DataFrame({"label": label, "model": label + rng.normal(size=len(days)), "persistence": persistence})
    wide = rng.random((len(days), 4))
    columns = ["split_covered", "adaptive_covered", "split_width", "adaptive_width"]
    return {
        "rankings": rankings(test, ["model", "persistence"]),
        "share": label.mean(),
        "equity": equity_table(equity),
        "rank_ic": rolling_ic(pd.DataFrame(columns=["date", "model", "rank_ic"])),
        "coverage": coverage_table(pd.DataFrame(wide, columns=columns).assign(date=days, asset="A")),
    }


@pytest.fixture(scope="module")
def results() -> Results:
    """The committed results of the repository; what DVC keeps (loss curves, raw manifest) is written out here."""
    loaded = load_experiment_results(LEDGER)
    names = sorted(set(loaded["experiment"]), key=lambda name: name != STUDY)
    series = {"series": "SP500", "kind": "prices", "origin": "arch", "first": "1999-01-04", "last": "2018-12-31"}
    by_compute = runs_by_compute(read_ledger(LEDGER), STUDY, read_settings(LEDGER.with_name("settings.json")))
    return Results(
        **{
            name: json.loads(Path(f"metrics/{file}.json").read_text())
            for name, file in (("experiment", "experiment"), ("evaluated", "evaluate"),
                               ("compared", "compare"), ("traded", "trade"))
        },
        **some_curves(),
        splits={"test": {"rows": 749, "first": "2016-01-04", "last": "2018-12-21", "positives": 205, "rate": 0.2737}},
        study=STUDY,
        reports=[generate_scaling_report(loaded, name) for name in names],
        runs=export_results_csv(loaded.assign(again=LINE)),
        by_compute=[isoflop_words(by_compute)],
        reliability=pd.read_csv("plots/reliability.csv"),
        losses=pd.DataFrame({"epoch": [1, 2, 3], "train": [0.7, 0.6, 0.5], "validation": [0.68, 0.62, 0.66]}),
        manifest=pd.DataFrame([series | {"rows": 5031, "md5": "0" * 32, "notes": ""}]),
        findings=[{"series": name, "rule": "hole", "severity": "warning", "where": ["2011-02-17"] * days, "remedy": "-"}
                  for name, days in (("AA", 1), ("ABC", 3), ("ADI", 2), ("ZION", 1))],
        figures={},
        own_figures={"coverage": Path("plots/coverage.png")},
        inputs={"results/all_results.csv": "0" * 32},
        notes=["a note with <angle brackets> & an ampersand"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def text(results: Results) -> str:
    return page_text(results, PLOTS_PAGE)


@pytest.fixture(scope="module")
def page(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_validation_warns_of_stands_on_the_page(results: Results, text: str) -> None:
    (row,) = finding_table(results.findings)
    assert row["series"] == 4
    assert row["where"].startswith("ABC (3: 2011-02-17, 2011-02-17, 2011-02-17), ADI (2: ")
    assert row["where"].endswith("AA (1: 2011-02-17) and 1 more")
    assert row["where"] in text


def test_the_second_test_stands_beside_the_first(results: Results) -> None:
    assert "symbols never seen" not in page_text(results, PLOTS_PAGE)
    score = results.experiment["scores"]["models"]
    second = results.experiment | {"unseen": {"symbols": 12, "rows": 9000, "scores": {"models": score}}}
    said = page_text(replace(results, experiment=second), PLOTS_PAGE)
    assert "on 12 symbols never seen: loss " in said
    assert f"skill {score['model']['skill']['value']:+.4f}" in said


def drawn(reader: Browser, page: Path, width: int = 1280, touch: bool = False) -> Tab:
    tab = reader.open(page, width, touch=touch)
    tab.wait_for(DRAWN)
    return tab


@pytest.fixture(scope="module")
def desk(page: Path, reader: Browser) -> Tab:
    """The page on a wide screen, for tests that leave it as it was."""
    return drawn(reader, page)


@contextmanager
def media(tab: Tab, **features: str) -> Iterator[None]:
    """media='print', or prefers_color_scheme='dark'."""
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items() if name != "media"]
    tab.call("Emulation.setEmulatedMedia", media=features.get("media", ""), features=named)
    yield
    tab.call("Emulation.setEmulatedMedia", media="", features=[])


def test_the_page_loads_nothing_and_its_links_lead_somewhere(text: str) -> None:
    loads, leads, anchors = [], [], set()

    class Loader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            told = {name: value or "" for name, value in attrs}
            anchors.add(told.get("id"))
            leads.extend([told["href"]] if tag == "a" else [])
            loads.extend(told[name] for name in ("src", "srcset", "data", "action") if name in told)
            loads.extend([told["href"]] if tag == "link" else [])

    Loader().feed(text)
    assert all(address.startswith("data:") for address in loads)
    assert "default-src 'none'" in text
    inside = [link.removeprefix("#") for link in leads if link.startswith("#")]
    assert len(inside) > 20
    assert set(inside) <= anchors
    outside = {Path("reports", link) for link in leads if not link.startswith("#")}
    assert outside
    assert all(path.resolve().is_relative_to(Path.cwd()) and path.exists() for path in outside)


def test_the_same_results_give_the_same_bytes(results: Results, text: str) -> None:
    assert page_text(results, PLOTS_PAGE) == text


def test_the_verdict_comes_first_and_the_contents_name_every_section(text: str, results: Results) -> None:
    shown = text[text.index("<main>") :]
    kind = next(one["verdict"] for one in results.reports if one["experiment"] == results.study)
    assert shown.index(f'class="verdict {kind}"') < shown.index('<section id="scaling-curve"')
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", shown)
    assert {"Verdict", "Scaling curve", "This run against its baselines", "Data coverage", "Provenance"} <= {*headings}
    contents = shown[shown.index("<nav") : shown.index("</nav>")]
    assert re.findall(r'<a href="#[^"]+">(.*?)</a>', contents) == headings


def test_a_regression_has_no_rates_and_losses_that_can_be_read(results: Results) -> None:
    experiment = {**results.experiment, "axes": {**results.experiment["axes"], "task": "regression"}}
    text = page_text(replace(results, experiment=experiment, reliability=results.reliability.iloc[:0]), PLOTS_PAGE)
    assert "ten equal bins" not in text
    assert '"reliability":' not in text
    assert "test loss (squared error, %²)" in text
    value = results.experiment["scores"]["models"]["model"]["loss"]["value"]
    assert f"{1e4 * value:.4f}" in text


def test_intervals_are_called_by_the_confidence_that_the_run_was_evaluated_with(results: Results, text: str) -> None:
    scores = results.experiment["scores"] | {"confidence": 0.9}
    other = page_text(replace(results, experiment=results.experiment | {"scores": scores}), PLOTS_PAGE)
    counts = [(one.count("90 % interval"), one.count("95 % interval")) for one in (text, other)]
    tables = 5  # losses, other scores, years, differences, Sharpe
    assert counts[0][0] == 0
    assert counts[1] == (tables, counts[0][1] - tables)


def test_every_digest_is_explained(text: str) -> None:
    told = text[text.index("<dl>") : text.index("</dl>")]
    assert re.findall("<dt>(.*?)</dt>", told) == ["code", "data", "settings", "commit", "key of a run"]


def test_the_page_says_which_runs_an_isoflop_profile_lacks(text: str) -> None:
    assert re.search(r"needs 4 sizes at each of 3 levels .* missing are runs .* budget=\d+K train.epochs=\d+", text)


def test_text_from_outside_is_shown_as_text(results: Results, reader: Browser, tmp_path: Path) -> None:
    """A symbol, a run, an experiment and a column with markup in their names, in the page, its JSON and its charts."""
    assert "a note with &lt;angle brackets&gt; &amp; an ampersand" in page_text(results, PLOTS_PAGE)
    rename = {STUDY: HOSTILE}
    hostile = replace(
        results,
        study=HOSTILE,
        reports=[one | {"experiment": rename.get(one["experiment"], one["experiment"])} for one in results.reports],
        runs=results.runs.assign(experiment=results.runs["experiment"].replace(rename), name=HOSTILE),
        manifest=results.manifest.assign(series=HOSTILE),
        notes=[HOSTILE],
    )
    path = tmp_path / "index.html"
    path.write_text(page_text(hostile, PLOTS_PAGE), encoding="utf-8")
    written = re.search(r'<script type="application/json" id="charts">(.*?)</script>', path.read_text(), re.DOTALL)
    assert written
    assert not set(written[1]) & set("<>&\u2028")
    tab = drawn(reader, path)
    assert tab.console == []
    assert tab.run("document.querySelectorAll('img[src=x]').length") == 0
    assert tab.run("[...document.querySelectorAll('td')].filter(cell => cell.textContent === name).length".replace(
        "name", json.dumps(HOSTILE))) >= 2  # fmt: skip
    assert tab.run("document.querySelector('#curve select').value") == HOSTILE
    tab.run("document.querySelector('#curve path[aria-roledescription=circle]').dispatchEvent(new PointerEvent("
            "'pointermove', {bubbles: true, clientX: 300, clientY: 300}))")  # fmt: skip
    assert HOSTILE.strip() in tab.run("document.querySelector('#vg-tooltip-element').textContent")
    assert tab.run("document.querySelectorAll('img[src=x]').length") == 0
    assert tab.console == []


def test_a_browser_draws_every_chart_and_reports_no_error(results: Results, desk: Tab) -> None:
    assert desk.console == []
    counts = desk.run("Object.fromEntries([...document.querySelectorAll('.chart')].map("
                     "one => [one.id, one.querySelectorAll('svg path').length]))")  # fmt: skip
    assert set(counts) == set(CHARTS)
    assert all(count > 10 for count in counts.values())
    dots = desk.run("[...document.querySelectorAll('#curve path[aria-roledescription=circle]')]"
                   ".map(dot => dot.getAttribute('aria-label'))")  # fmt: skip
    mine = results.runs[results.runs["experiment"] == STUDY]
    assert len(dots) == len(mine)
    assert all(name in " ".join(dots) for name in mine["name"])  # hovering names the run
    assert all(LINE in dot for dot in dots)  # and says how to make it again
    ticks = desk.run("[...document.querySelectorAll('#curve .role-axis-label text')].map(one => one.textContent)")
    assert {"10K", "30K", "100K", "300K", "1M"} <= set(ticks)
    epochs = desk.run("[...document.querySelector('#losses .role-axis-label').querySelectorAll('text')]"
                      ".map(one => one.textContent)")  # fmt: skip
    assert epochs == ["1", "2", "3"]


def test_a_prediction_of_two_values_is_a_dot_and_no_line(desk: Tab) -> None:
    for chart in ("roc", "precision-recall"):
        labels = f"[...document.querySelectorAll('#{chart} [aria-roledescription=\"KIND\"]')]"
        marks = f"{labels}.map(one => one.getAttribute('aria-label'))"
        lines = desk.run(marks.replace("KIND", "line mark"))
        dots = desk.run(marks.replace("KIND", "circle") + ".filter(label => label.includes('persistence'))")
        assert not any("persistence" in (line or "") for line in lines)
        assert len(dots) == 1


def test_dark_and_light_follow_the_reader_and_paper_is_white(desk: Tab) -> None:
    """Without a chart being drawn anew: a printed page was on a dark screen a moment before."""
    ink = "getComputedStyle(document.querySelector('#scores .role-axis-label text')).fill"
    dot = "getComputedStyle(document.querySelector('#scores path[aria-roledescription=circle]')).fill"
    back = "getComputedStyle(document.body).backgroundColor"
    for dark, scheme in enumerate(("light", "dark")):
        with media(desk, prefers_color_scheme=scheme):
            assert desk.run(back) == rgb(style.GROUND["back"][dark])
            assert desk.run(ink) == rgb(style.GROUND["ink"][dark])
            assert desk.run(dot) in {rgb((one.light, one.dark)[dark]) for one in style.MODELS.values()}
    with media(desk, media="print", prefers_color_scheme="dark"):
        assert desk.run(ink) == rgb(style.GROUND["ink"][0])
        assert desk.run(back) == "rgba(0, 0, 0, 0)"


def rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[at : at + 2], 16) for at in (1, 3, 5)))


def test_print_shows_every_row(results: Results, desk: Tab) -> None:
    cut = "box.scrollHeight > box.clientHeight + 1 || getComputedStyle(box).overflowY !== 'visible'"
    boxes = f"[...document.querySelectorAll('.scroll')].filter(box => {cut}).length"
    assert desk.run(boxes) > 0  # a screen has no room for them
    with media(desk, media="print"):
        assert desk.run(boxes) == 0
    assert desk.run("document.querySelectorAll('tr[id^=run-]').length") == len(results.runs) > 50


def test_a_tap_shows_what_hovering_shows(results: Results, page: Path, reader: Browser) -> None:
    """On a phone 390 pixels wide, beside which nothing sticks out; a finger a little off the dot finds it."""
    tab = drawn(reader, page, width=390, touch=True)
    assert tab.run("document.documentElement.scrollWidth") == 390
    far = results.runs[results.runs["experiment"] == STUDY].nlargest(1, "test_loss").iloc[0]  # no dot is near it
    x, y = tab.run(f"(() => {{ const dot = document.querySelector('#curve path[aria-label*=\"{far['key']}\"]');"
                   "dot.scrollIntoView({block: 'center'}); const box = dot.getBoundingClientRect();"
                   "return [box.x + box.width / 2, box.y + box.height / 2] })()")  # fmt: skip
    assert not tab.run("document.querySelector('#vg-tooltip-element')?.classList.contains('visible') ?? false")
    tab.tap(x + 9, y + 6)
    tab.wait_for("document.querySelector('#vg-tooltip-element')?.classList.contains('visible')")
    shown = tab.run("document.querySelector('#vg-tooltip-element').textContent")
    assert LINE in shown
    assert far["name"] in shown


def test_what_has_the_focus_is_seen(desk: Tab) -> None:
    width = "getComputedStyle(document.activeElement).outlineWidth"
    for kind in ("keyDown", "keyUp"):
        desk.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert desk.run("document.activeElement.className") == "skip"
    assert desk.run(width) == "3px"
    for what in ("th button", "nav a", "select", ".scroll"):
        assert desk.run(f"document.querySelector('{what}').focus({{focusVisible: true}}), {width}") == "3px"


def test_a_click_sorts_numbers_as_numbers(desk: Tab) -> None:
    column = (
        "(name => { const head = [...document.querySelectorAll('#all-runs-in-the-ledger th')].find("
        "one => one.textContent === name); head.querySelector('button').click();"
        "return [...head.closest('table').tBodies[0].rows].map(row => row.cells[head.cellIndex].textContent) })"
    )
    sizes = [int(text.replace(",", "")) for text in desk.run(f"{column}('parameters')")]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 5
    budgets = desk.run(f"{column}('budget')")
    assert budgets.index("300K") < budgets.index("1M")


def test_a_chart_that_cannot_be_drawn_is_seen_by_the_tests_above(text: str, reader: Browser, tmp_path: Path) -> None:
    broken = re.sub(r'"losses": \{"\$schema"', '"losses": {"data": {"url": "https://example.org/x.json"}, "x": "', text)
    assert broken != text
    (tmp_path / "index.html").write_text(broken, encoding="utf-8")
    tab = reader.open(tmp_path / "index.html")
    tab.wait_for("true")
    assert tab.console != []


def test_the_model_s_ranking_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 5000).astype(float)
    test = pd.DataFrame({"label": label, "model": label + rng.normal(size=5000), "constant": 1.0})
    [one] = rankings(test, ["model", "constant"])  # a constant ranks nothing
    assert np.trapezoid(one.roc["y"], one.roc["x"]) == pytest.approx(one.area)
    assert one.words[0] == f"PatchTST {one.area:.3f}"
    assert one.recall[["x", "y"]].iloc[[0, -1]].to_numpy() == pytest.approx(np.array([[1, label.mean()], [0, 1]]))


def test_two_values_are_one_threshold() -> None:
    test = pd.DataFrame({"label": [1.0, 1.0, 0.0, 0.0], "persistence": [0.4, 0.3, 0.4, 0.3]})
    [one] = rankings(test, ["persistence"])
    assert one.dots
    assert one.roc.to_numpy().tolist() == [[0.5, 0.5]]
    assert one.recall.to_numpy().tolist() == [[0.5, 0.5]]


def test_equity_and_coverage_are_those_of_the_tables() -> None:
    accounts = pd.DataFrame({"date": ["2020-01-02", "2020-01-03"], "return": [0.1, -0.5], "buy_and_hold": [0.0, 0.2]})
    model = equity_table(accounts).query("name == 'model'")
    assert model["capital"].tolist() == pytest.approx([1.1, 0.55])
    assert model["drawdown"].tolist() == pytest.approx([0, -0.5])
    days = pd.bdate_range("2020-01-01", periods=70)
    rows = pd.DataFrame({"date": days, "asset": "A", "split_covered": 1.0, "adaptive_covered": [0.0] * 35 + [1.0] * 35})
    adaptive = coverage_table(rows).query("name == 'adaptive'")
    assert adaptive["coverage"].iloc[[0, -1]].tolist() == pytest.approx([25 / 60, 35 / 60], abs=1e-4)


def test_symbols_of_a_day_have_a_section_where_there_are_several(results: Results, text: str) -> None:
    assert 'id="symbols-of-a-day"' not in text
    assert "rank-ic" not in text
    days = pd.bdate_range("2020-01-01", periods=70)
    ics = rolling_ic(pd.DataFrame({"date": days, "model": "model", "rank_ic": [0.0] * 35 + [0.1] * 35}))
    assert ics["rank IC"].iloc[[0, -1]].tolist() == pytest.approx([2.5 / 60, 3.5 / 60], abs=1e-5)
    score = {"value": 0.012, "low": -0.01, "high": 0.03, "positive": 0.55, "block_length": 9}
    across = {"symbols": {"fewest": 10, "median": 10.0, "most": 12}, "days": 70, "days_left_out": 0,
              "models": {"model": {"days": 70, "ic": score, "rank_ic": score}}}  # fmt: skip
    of_panel = replace(results, experiment=results.experiment | {"cross_section": across}, rank_ic=ics)
    told = page_text(of_panel, PLOTS_PAGE)
    assert 'id="symbols-of-a-day"' in told
    assert "rank IC +0.0120 (-0.0100 to +0.0300): no order of symbols established" in told


def test_a_broken_plots_page_is_named(tmp_path: Path) -> None:
    (tmp_path / "offline.html").write_text("<script>/* vega 5 */</script>")
    with pytest.raises(InputError, match="no <script> begins with /\\* vega-lite"):
        inlined_libraries(tmp_path / "offline.html")
