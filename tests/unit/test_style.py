"""One name and one colour for each thing, legible on light and on dark ground, and from one place."""

import re
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest

from finscale.config import Task
from finscale.evaluation.baseline_names import names_of
from finscale.pages import style
from finscale.pages.render import markdown_table
from finscale.pages.style import GROUND, LAWS, MODELS, PARTS, loss_unit, task_words

HEX = re.compile(r"#[0-9a-fA-F]{6}\b")


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("looks", [MODELS, PARTS, LAWS], ids=["models", "parts", "laws"])
def test_every_colour_is_seen_on_its_ground(looks: dict[str, style.Look]) -> None:
    for name, look in looks.items():
        assert contrast(look.light, GROUND["paper"][0]) >= 3, name
        assert contrast(look.dark, GROUND["paper"][1]) >= 3, name


def test_text_is_read_in_both_schemes() -> None:
    for scheme in (0, 1):
        for ground in ("paper", "back"):
            for text in ("ink", "soft", "accent"):
                assert contrast(GROUND[text][scheme], GROUND[ground][scheme]) >= 4.5


def test_no_two_models_share_a_name_or_a_colour() -> None:
    for (one, a), (other, b) in combinations(MODELS.items(), 2):
        if {one, other} != {"volatility", "garch"}:  # one model under two names of the tables
            assert a.name != b.name
            assert a.light != b.light
            assert a.dark != b.dark


def test_every_baseline_has_a_look_of_its_own() -> None:
    assert {name for task in get_args(Task) for name in names_of(task)} <= set(MODELS)
    assert style.shown("new_model") == "new model"
    assert style.look("new_model") == style.look("new_model")


def test_colours_stand_in_one_place() -> None:
    pages = [path for path in Path("finscale/pages").rglob("*") if path.suffix in (".py", ".j2")]
    named = {path.name: HEX.findall(path.read_text()) for path in pages if path.name != "style.py"}
    # What is drawn for paper keeps its white ground on a dark page.
    assert {name: colours for name, colours in named.items() if colours} == {"page.css.j2": ["#ffffff"]}


def test_losses_are_told_in_units_that_can_be_read() -> None:
    assert loss_unit("regression").text(0.000412) == "4.1200"
    assert loss_unit("regression").axis == "test loss (squared error, %²)"
    assert loss_unit("direction").text(0.69315) == "0.69315"


def test_what_is_foretold_is_said_in_words() -> None:
    assert task_words("threshold_1pct", 5) == "a rise of more than 1 % over 5 bars"
    assert task_words("direction", 1) == "up or down over the next bar"
    assert task_words("regression", "weekly") == "the return over a week"
    assert not any("_" in task_words(task, 3) for task in get_args(Task))


def test_a_cell_of_markdown_can_end_neither_row_nor_cell() -> None:
    table = markdown_table([{"a|b": "<script>x</script>", "c": "one\ntwo | three"}])
    assert len(table.splitlines()) == 3
    assert "<script>" not in table
    assert r"one two \| three" in table
