"""`dvc plots show` in a browser: DVC hands the values of a CSV to Vega as text, the templates make numbers of them."""

import re
from pathlib import Path

import pandas as pd
from dvc_render.html import render_html
from dvc_render.vega import VegaRenderer

from tests.browser import Browser, Tab

TEMPLATES = Path(".dvc/plots")
SIZES = (9_951, 29_969, 99_625, 298_929, 999_061)
BOXES = "one => { const box = one.getBoundingClientRect(); return [box.left, box.right, box.top, box.bottom] }"


def shown(reader: Browser, folder: Path, rows: pd.DataFrame, template: str, x: str, y: str) -> Tab:
    """What `dvc plots show` writes for these rows, every value as text, in a browser."""
    texts = [{name: str(value) for name, value in row.items()} for row in rows.to_dict("records")]
    told = [row | {"rev": "workspace"} for row in texts]
    files = rows["filename"].unique() if "filename" in rows else ["plot.csv"]
    sources = [{"filename": file, "field": y} for file in files]
    named = {"anchors_y_definitions": sources, "revs_with_datapoints": ["workspace"]}
    plot = VegaRenderer(told, "plot", template=template, template_dir=str(TEMPLATES), x=x, y=y, **named)
    page = render_html([plot], folder / "index.html", html_template=str(TEMPLATES / "offline.html"))
    tab = reader.open(Path(page))
    tab.wait_for("document.querySelector('#plot canvas') !== null")
    assert tab.console == []
    # As SVG, whose marks can be counted: the page itself draws on a canvas.
    tab.run(f"vegaEmbed('#plot', {plot.partial_html()}, {{renderer: 'svg'}}).then(() => document.body.id = 'drawn')")
    tab.wait_for("document.body.id === 'drawn'")
    assert tab.console == []
    return tab


def curve(name: str, exponent: float, level: float, sizes: tuple[int, ...] = SIZES) -> pd.DataFrame:
    losses = [level * size**-exponent for size in sizes]
    return pd.DataFrame({"params": sizes, "test_loss": losses, "experiment": name})


def ticks(tab: Tab) -> list[str]:
    """The labels of the x axis."""
    axes = "[...document.querySelectorAll('.role-axis')].filter(one => one.querySelector('.role-axis-label'))"
    labels = tab.run(f"[...{axes}[0].querySelectorAll('.role-axis-label text')].map(one => one.textContent)")
    return [label for label in labels if label]


def test_a_law_is_drawn_through_each_curve_and_no_further_than_its_sizes(reader: Browser, tmp_path: Path) -> None:
    rows = pd.concat(
        [curve("direction", 0.02, 0.8), curve("threshold_1pct", -0.01, 0.5), curve("one", 0.1, 0.9, (10_000,))]
    )
    tab = shown(reader, tmp_path, rows, "scaling_curve", "params", "test_loss")
    dots = tab.run(f"[...document.querySelectorAll('.mark-symbol.role-mark path')].map({BOXES})")
    lines = tab.run(f"[...document.querySelectorAll('.mark-line path')].map({BOXES})")
    assert len(dots) == len(rows)
    assert len(lines) == 2  # one for each task; a curve of one size has none
    for left, right, *_ in lines:
        assert min(dot[0] for dot in dots) <= left
        assert right <= max(dot[1] for dot in dots)
    heights = sorted((top + bottom) / 2 for _, _, top, bottom in lines)
    assert heights[1] - heights[0] > 20  # through its own points, not between the two
    labels = ticks(tab)
    assert labels
    assert all(re.fullmatch(r"\d+K|1M", label) for label in labels)


def test_epochs_are_whole(reader: Browser, tmp_path: Path) -> None:
    curves = {"train": [0.7, 0.65, 0.6], "validation": [0.7, 0.66, 0.68]}
    parts = [pd.DataFrame({"step": [1, 2, 3], "loss": losses, "filename": name}) for name, losses in curves.items()]
    tab = shown(reader, tmp_path, pd.concat(parts), "epochs", "step", "loss")
    assert ticks(tab) == ["1", "2", "3"]
    assert tab.run("document.querySelectorAll('.mark-line.role-mark path').length") == 2
    assert tab.run("document.querySelectorAll('.mark-symbol.role-mark path').length") == 6


def test_reliability_has_its_intervals_and_a_diagonal(reader: Browser, tmp_path: Path) -> None:
    rows = pd.read_csv("plots/reliability.csv")
    tab = shown(reader, tmp_path, rows, "reliability", "predicted", "observed")
    assert tab.run("document.querySelectorAll('.mark-rule.role-mark line').length") == len(rows)
    assert tab.run("document.querySelectorAll('.mark-symbol.role-mark path').length") == len(rows)
    assert tab.run("document.querySelectorAll('.mark-line path').length") == 1
