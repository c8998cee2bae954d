"""The article: no result in it is typed, and it says what today's ledger says."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.scaling.data_grid import data_grid
from study.article import PAGE, SOURCE, filled
from study.article_panel import ladder_values
from study.article_values import all_values
from study.paper import main as paper
from study.paper import manuscript
from tests.unit.test_data_grid import ledger


@pytest.fixture(scope="module")
def values() -> dict[str, str]:
    return all_values()


def test_the_page_is_what_the_command_makes_of_today_s_ledger(values: dict[str, str]) -> None:
    assert PAGE.read_text() == filled(SOURCE.read_text(), values), "`make article` writes it anew"


def test_conclusions_in_words_hold_as_long_as_these_verdicts_do(values: dict[str, str]) -> None:
    """'No law can be told from none', 'the best of any forecast', 'flat': written by hand, so held here."""
    verdicts = {name: values[f"{name}.verdict"] for name in ("pilot", "author", "walk")}
    assert verdicts == {"pilot": "undecidable", "author": "undecidable", "walk": "flat"}
    assert float(values["teacher.bound"]) < min(float(one) for one in values["teacher.losses"].split(", "))
    assert float(values["pilot.error_days"]) > float(values["pilot.error_seeds"])  # more seeds would hardly help
    assert "(0.00" in values["teacher.alpha"]  # its own interval excludes zero
    assert all(
        "| -" in line for line in values["ladder.windows"].splitlines()[2:]
    )  # lower with 256 stocks than with one
    assert values["ladder.sizes"].splitlines()[-1].split()[-2] == "flat"  # 256 stocks


def test_an_unknown_name_is_one_error_that_tells_the_line_and_what_is_meant() -> None:
    with pytest.raises(InputError, match=r"article\.md\.in, line 2: no result is named 'pilot\.alfa'.*pilot\.alpha"):
        filled("one\n{{pilot.alfa}}", {"pilot.alpha": "0.01"})


# What a design sets may be typed, and what others report; every decimal or percentage beside these is a result.
SETTINGS = {"95 %", "80 %", "5 %", "2 %", "1 %"}


def typed(text: str) -> set[str]:
    own = re.sub(r"\{\{.*?\}\}|\]\([^)]*\)|section[s]? [\d.]+(?: and [\d.]+)?|^#.*$", "", text, flags=re.MULTILINE)
    return set(re.findall(r"[\d.]*\d(?:\.\d+| ?%)", own)) - SETTINGS


def test_no_result_is_typed_by_hand() -> None:
    text = SOURCE.read_text()
    before, others = text.split("## 7. What others have found")
    assert typed(before + others[others.index("## 8.") : others.index("## References")]) == set()
    assert typed("alpha is 0.0081, 6 % less") == {"0.0081", "6 %"}


def panel(tmp_path: Path) -> dict[str, str]:
    """What is told of runs whose loss on unseen symbols falls with windows alone (tests/unit/test_data_grid.py)."""
    rows = ledger(tmp_path, seeds=(0,))
    law = {
        "experiment": "directory-all-x",
        "task": "volatility",
        "runs": len(rows),
        "words": ["directory-all-x: a law"],
    }
    grid = data_grid(rows.assign(unique=rows["train_windows"]), tmp_path).told()
    return dict(ladder_values([law | {"grid": grid}], NO_RUNS, {}))


NO_RUNS = pd.DataFrame(
    columns=["source", "assets", "task", "symbols", "experiment", "differs", "device", "train_symbols"]
)


def test_the_panel_is_told_by_stocks_and_by_size_on_the_stocks_that_never_trained(tmp_path: Path) -> None:
    told = panel(tmp_path)
    assert "| 256 symbols  | 450,000" in told["ladder.table"]
    windows, sizes = told["ladder.windows"].splitlines(), told["ladder.sizes"].splitlines()
    assert [cell.strip() for cell in windows[0].split("|")[2:4]] == [
        "1 symbol to 256 symbols",
        "16 symbols to 256 symbols",
    ]
    assert [line.split()[1] for line in windows[2:]] == ["10K", "100K", "1M", "CatBoost"]
    assert "| -5." in windows[5]
    assert windows[5].count("established") == 2
    assert "established" not in windows[2]  # one seed
    assert [line.split("|")[1].strip() for line in sizes[2:]] == ["1 symbol", "16 symbols", "256 symbols"]
    assert told["ladder.law"] == "a law"
    assert (
        "From 1 symbol to 256 symbols the loss of 10K parameters on stocks that never trained changes by -15"
        in (told["ladder.abstract"])
    )
    assert "; from 10K to 1M parameters, trained on 256 symbols, by " in told["ladder.abstract"]


def test_a_panel_that_has_not_been_run_says_so() -> None:
    told = dict(ladder_values([], NO_RUNS, {}))
    assert "has not been run yet" in told["ladder.abstract"]
    assert told["ladder.table"].startswith("*Not run yet")
    assert told["ladder.windows"] == told["ladder.sizes"] == told["ladder.table"]


def test_a_paper_has_the_heading_for_its_title_figures_below_the_root_and_no_dead_links() -> None:
    text = "# A title\n\nIt lost -0.5 % (-1.2 to 3), [results](results.md) [say](https://a.org/b).\n\n"
    told = manuscript(text + "![a curve](../plots/scaling_curve.png)\n", Path("docs"))
    assert "title: A title" in told
    assert "\N{MINUS SIGN}0.5\N{NO-BREAK SPACE}% (\N{MINUS SIGN}1.2 to 3), results [say](https://a.org/b)." in told
    assert "![a curve](/plots/scaling_curve.png){width=70%}" in told
    with pytest.raises(InputError, match=r"shows \.\./plots/gone\.png"):
        manuscript(text + "![a](../plots/gone.png)", Path("docs"))


def test_a_paper_without_its_programs_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypandoc", None)
    with pytest.raises(InputError, match="`make paper`"):
        paper()
