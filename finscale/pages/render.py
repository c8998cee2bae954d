"""Text and pages from templates (templates/*.j2): code says what is told, a template how it reads.

Pages of HTML escape whatever they are given; Markdown tables escape what would end a cell or begin a tag. An unknown
name in a template is an error, and the same input gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tabulate import tabulate

Rows = Sequence[Mapping[str, object]]

_IN_CELLS = str.maketrans({"|": r"\|", "<": "&lt;", "\n": " ", "\r": " "})


def render(template: str, **told: Any) -> str:
    """The text of templates/<template> with these values."""
    return _ENVIRONMENT.get_template(template).render(**told)


def markdown_table(rows: Rows) -> str:
    """A table as GitHub writes it; a value that holds markup is shown as it is."""
    safe = [{_cell(name): _cell(value) for name, value in row.items()} for row in rows]
    return tabulate(safe, headers="keys", tablefmt="github", disable_numparse=True)


def screen_table(rows: Rows) -> str:
    """A table for a terminal."""
    return tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True)


def _cell(value: object) -> str:
    return str(value).translate(_IN_CELLS)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"table": markdown_table, "screen_table": screen_table}
    # No JSON reader has to accept NaN; the order of keys is that of what is told. <, >, & and ' are escaped by tojson.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "sort_keys": False}
    return environment


_ENVIRONMENT = _environment()
