"""The article: no result in it is typed, and it says what today's ledger says."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import study.article_panel
from finscale.errors import InputError
from study.article import PAGE, SOURCE, filled
from study.article_panel import ladder_values
from study.article_values import all_values
from study.paper import main as paper
from study.paper import manuscript


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
    assert float(values["teacher.p_controls"]) < 0.05


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


RIVALS = ("catboost", "har", "garch")


@pytest.fixture
def ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Two seeds on 1 and on 256 stocks, three sizes: on unseen stocks 256 lose a tenth less, and size changes nothing.

    The loss on stocks of their own, which are others each time, says the opposite.
    """
    rng = np.random.default_rng(0)
    days, noise = pd.bdate_range("2015-01-02", periods=300), rng.normal(0, 0.01, 300)
    rows = []
    for stocks in (1, 256):
        for size, params in (("10K", 10_000), ("100K", 100_000), ("1M", 1_000_000)):
            for seed in (0, 1):
                key, loss = f"{stocks}-{size}-{seed}", 0.3 * (0.9 if stocks == 256 else 1)
                model = loss * (1 + noise) * (1 + 0.001 * seed)
                table = {"date": days, "rows": 100, "model": model, "model_raw": model} | dict.fromkeys(RIVALS, 0.4)
                pd.DataFrame(table).to_parquet(tmp_path / f"{key}-unseen.parquet")
                rows.append({
                    "key": key, "source": "directory", "assets": "all", "task": "volatility", "horizon": "5",
                    "differs": "", "code": "c", "data": "d", "train_symbols": float(stocks), "budget": size,
                    "params": params, "seed": seed, "train_windows": 1_000 * stocks, "unseen_loss": model.mean(),
                    "test_loss": 0.1 if stocks == 1 else 0.5, "experiment": f"of {stocks}",
                })  # fmt: skip
    monkeypatch.setattr(study.article_panel, "FOLDER", tmp_path)
    return pd.DataFrame(rows)


def test_numbers_of_stocks_are_compared_on_the_stocks_that_never_trained(ladder: pd.DataFrame) -> None:
    told = dict(ladder_values(ladder, {}))
    assert told["ladder.stocks.1M"].startswith("-10.0 % (")
    assert told["ladder.size.256"].startswith("+0.0 % (")
    assert told["ladder.stocks.catboost"].startswith("+0.0 % (")
    assert told["ladder.size.16"] == "not run yet"
    assert "From 1 to 256 stocks" in told["ladder.abstract"]
    assert "| 256      | 256,000            | 0.27" in told["ladder.table"]


def test_a_panel_on_one_number_of_stocks_says_that_the_ladder_has_not_been_run(ladder: pd.DataFrame) -> None:
    told = dict(ladder_values(ladder[ladder["train_symbols"] == 256], {}))
    assert told["ladder.stocks.10K"] == "not run yet"
    assert "has not been run yet" in told["ladder.abstract"]
    assert told["ladder.size.256"].startswith("+0.0 % (")


def test_a_paper_has_the_heading_for_its_title_figures_below_the_root_and_no_dead_links() -> None:
    text = "# A title\n\nIt lost -0.5 (-1.2 to 3) in [results](results.md) and [x](https://a.org/b).\n\n"
    told = manuscript(text + "![a curve](../plots/scaling_curve.png)\n", Path("docs"))
    assert "title: A title" in told
    assert "It lost \N{MINUS SIGN}0.5 (\N{MINUS SIGN}1.2 to 3) in results and [x](https://a.org/b)." in told
    assert "![a curve](/plots/scaling_curve.png){width=70%}" in told
    with pytest.raises(InputError, match=r"shows \.\./plots/gone\.png"):
        manuscript(text + "![a](../plots/gone.png)", Path("docs"))


def test_a_paper_without_its_programs_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypandoc", None)
    with pytest.raises(InputError, match="`make paper`"):
        paper()
