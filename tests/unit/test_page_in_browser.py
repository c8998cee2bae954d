"""The page as a reader sees it: charts, sorting, paper, a dark scheme, a finger, the keyboard."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from finscale.pages import style
from finscale.pages.page import Results, page_text
from tests.browser import Browser, Tab
from tests.unit.page_run import LINE, PLOTS_PAGE, STUDY, committed_results

CHARTS = (
    "curve", "scores", "reliability", "losses", "roc", "precision-recall", "capital", "drawdown", "coverage",
)  # fmt: skip
HOSTILE = "</script><img src=x onerror=\"console.error('ran')\">\u2028${alert(1)} `'\"&"
DRAWN = f"document.querySelectorAll('.chart svg').length === {len(CHARTS)}"


@pytest.fixture(scope="module")
def results() -> Results:
    return committed_results()


@pytest.fixture(scope="module")
def text(results: Results) -> str:
    return page_text(results, PLOTS_PAGE)


@pytest.fixture(scope="module")
def page(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


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
