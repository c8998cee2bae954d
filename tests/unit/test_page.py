"""The page opens without a network, draws its charts, sorts its tables, prints whole, and answers to a finger."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.evaluation.ranking import rankings
from finscale.pages.findings import finding_table
from finscale.pages.page import Results, inlined_libraries, page_text
from finscale.pages.run_tables import coverage_table, equity_table, ranking_words, rolling_ic
from tests.unit.page_run import PLOTS_PAGE, committed_results


@pytest.fixture(scope="module")
def results() -> Results:
    return committed_results()


@pytest.fixture(scope="module")
def text(results: Results) -> str:
    return page_text(results, PLOTS_PAGE)


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


def test_what_validation_warns_of_stands_on_the_page(results: Results, text: str) -> None:
    (row,) = finding_table(results.findings)
    assert row["series"] == 4
    assert row["where"].startswith("ABC (3: 2011-02-17, 2011-02-17, 2011-02-17), ADI (2: ")
    assert row["where"].endswith("AA (1: 2011-02-17) and 1 more")
    assert row["where"] in text


def test_the_second_test_stands_beside_the_first(results: Results) -> None:
    assert "symbols never seen" not in page_text(results, PLOTS_PAGE)
    score = results.experiment["scores"]["models"]
    rank = {"value": 0.0312, "low": 0.01, "high": 0.05, "positive": 0.6}
    found = {"days": 700, "ic": rank, "rank_ic": rank}
    across = {"symbols": {"fewest": 11, "median": 12.0, "most": 12}, "days": 700, "models": {"model": found}}
    unseen = {"symbols": 12, "rows": 9000, "scores": {"models": score}, "cross_section": across}
    second = results.experiment | {"unseen": unseen}
    said = page_text(replace(results, experiment=second), PLOTS_PAGE)
    assert "on 12 symbols never seen: loss " in said
    assert f"skill {score['model']['skill']['value']:+.4f}" in said
    section = said[said.index('<section id="symbols-of-a-day"') :]
    assert "cross-section of symbols never seen, 11 to 12 symbols a day, 700 days: rank IC +0.0312" in section
    assert "over the symbols never seen, a day" in section
    assert "+0.0312" in section[section.index("<table") : section.index("</table>")]


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


def test_every_decided_curve_and_size_by_data_stand_on_the_page(results: Results, text: str) -> None:
    flat = results.reports[0] | {"verdict": "flat", "verdict_in_words": "flat: ten times the size changes nothing"}
    said = unescape(page_text(replace(results, reports=[flat, *results.reports[1:]]), PLOTS_PAGE))
    assert f"<li>{flat['experiment']}: flat: ten times the size changes nothing</li>" in said
    assert 'id="size-by-data"' not in text
    picture = next(Path("plots/scaling").glob("grid-directory-*.svg"))
    group = ("the panel", ["no law of both", "PatchTST, 64 symbols: flat"], picture)
    section = page_text(replace(results, size_by_data=[group]), PLOTS_PAGE).partition('id="size-by-data"')[2]
    assert "<h3>the panel</h3>" in section
    assert (
        section.index("data:image/svg") < section.index("PatchTST, 64 symbols: flat") < section.index("no law of both")
    )


def test_the_model_s_ranking_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 5000).astype(float)
    test = pd.DataFrame({"label": label, "model": label + rng.normal(size=5000), "constant": 1.0})
    [one] = rankings(test, ["model", "constant"])  # a constant ranks nothing
    assert np.trapezoid(one.roc["y"], one.roc["x"]) == pytest.approx(one.area)
    assert ranking_words(one)["roc"] == f"PatchTST {one.area:.3f}"
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
