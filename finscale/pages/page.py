"""One self-contained HTML page: text, tables that sort, charts with their data. It loads nothing from anywhere.

The template stands beside this file (page.html); Vega comes from the page that `dvc plots` uses, so that the
repository holds it once. The same input gives the same bytes: no date, no machine, no path goes in.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template

from finscale.errors import InputError
from finscale.pages.charts import Chart

Table = list[dict[str, object]]

# What decides numbers or their form; the rest stands in requirements.txt.
PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "catboost",
    "arch",
    "matplotlib",
    "dvc",
)

_LIBRARIES = ("vega", "vega-lite", "vega-embed")
_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?( .*)?")


@dataclass
class Page:
    """Sections in order, and the charts that they hold."""

    title: str
    sections: list[str] = field(default_factory=list)
    charts: dict[str, Chart] = field(default_factory=dict)

    def section(self, heading: str, *parts: str) -> None:
        anchor = re.sub(r"[^a-z]+", "-", heading.lower()).strip("-")
        self.sections.append(f'<section id="{anchor}"><h2>{escape(heading)}</h2>{"".join(parts)}</section>')

    def chart(self, name: str, chart: Chart, label: str) -> str:
        """The place of a chart; the page's script draws it there. label: what a screen reader says."""
        self.charts[name] = chart
        return f'<div class="chart" id="{name}" role="img" aria-label="{escape(label)}"></div>'


def verdict_block(kind: str, words: str, facts: Table) -> str:
    """The answer, before anything else: one word, one sentence, the numbers behind it."""
    cards = "".join(
        f'<div class="card"><b>{escape(str(fact["value"]))}</b><span>{escape(str(fact["name"]))}</span></div>'
        for fact in facts
    )
    answer = f'<p class="verdict {escape(kind)}"><strong>{escape(kind)}</strong> {escape(words)}</p>'
    return f'{answer}<div class="cards">{cards}</div>'


def paragraphs(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def table(rows: Table) -> str:
    """A table whose columns sort on a click; numbers stand to the right. Column names are those of the first row."""
    if not rows:
        return "<p>nothing to show yet</p>"
    columns = list(rows[0])
    right = {name: all(_NUMBER.fullmatch(str(row[name])) or row[name] in ("", "-") for row in rows) for name in columns}
    mark = {name: ' class="number"' if right[name] else "" for name in columns}
    head = "".join(f'<th{mark[name]} aria-sort="none"><button>{escape(name)}</button></th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td{mark[name]}>{escape(str(row[name]))}</td>" for name in columns) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table class="sorts"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(path: Path, words: str) -> str:
    """An SVG or PNG file, inside the page. words: what a screen reader says."""
    kind = {".svg": "image/svg+xml", ".png": "image/png"}[path.suffix]
    inside = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img alt="{escape(words)}" src="data:{kind};base64,{inside}"></figure>'


def columns(*parts: str) -> str:
    """Parts side by side where the window is wide enough."""
    return '<div class="columns">' + "".join(f"<div>{part}</div>" for part in parts) + "</div>"


def package_versions() -> Table:
    return [{"package": name, "version": version(name)} for name in PACKAGES]


def inlined_libraries(plots_page: Path) -> str:
    """The <script> elements of Vega, Vega-Lite and Vega-Embed in DVC's plots template, in that order."""
    scripts = re.findall(r"<script>.*?</script>", plots_page.read_text(), flags=re.DOTALL)
    for name in _LIBRARIES:
        if not any(script.startswith(f"<script>/* {name} ") for script in scripts):
            raise InputError(f"{plots_page}: no <script> begins with /* {name} <version>; restore it from git")
    return "\n".join(scripts)


def render(page: Page, template: Path, plots_page: Path) -> str:
    """The page as text. template: $title, $libraries, $sections, $charts."""
    # "</" would end the script element that holds the JSON.
    charts = json.dumps(page.charts, allow_nan=False).replace("</", "<\\/")
    return Template(template.read_text()).substitute(
        title=escape(page.title),
        libraries=inlined_libraries(plots_page) if page.charts else "",
        sections="\n".join(page.sections),
        charts=charts,
    )
