"""Size by data: runs on other symbols are judged on the one test that they share, and along both axes over days."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finscale.evaluation.day_file import write_day_file
from finscale.pages.grid_figures import plot_data_grid
from finscale.pages.style import loss_unit
from finscale.scaling.daily import daily_path, unseen_path
from finscale.scaling.data_grid import change_words, data_grid
from finscale.scaling.data_laws import data_laws
from finscale.scaling.ledger import read_ledger
from finscale.scaling.settings import PLAIN

PARAMS = {"10K": 10_000, "100K": 100_000, "1M": 1_000_000}
SYMBOLS = {"1": 1_750, "16": 28_000, "256": 450_000}
KNOWN = {PLAIN: {"train.epochs": 1}, "s": {"train.epochs": 1}}
DAYS = pd.bdate_range("2015-01-02", periods=300)
FALL_BY_DATA = 0.03  # the exponent of windows that is planted on unseen symbols; that of parameters is 0


def ledger(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> pd.DataFrame:
    """Runs whose loss on unseen symbols falls with windows alone; each set of symbols has a test of its own."""
    random, rows = np.random.default_rng(3), []
    row = read_ledger(Path("results/ledger.csv")).iloc[-1].to_dict() | {"settings": "s", "history": "all"}
    of_day = 0.3 * np.exp(random.normal(0, 0.2, len(DAYS)))
    for number, (symbols, windows) in enumerate(SYMBOLS.items()):
        for budget, params in PARAMS.items():
            for seed in seeds:
                key = f"{symbols}-{budget}-{seed}"
                noise = np.exp(random.normal(0, 0.01, len(DAYS)) + random.normal(0, 0.001))
                losses = {"test": (1 + number) * of_day * noise, "unseen": of_day * windows**-FALL_BY_DATA * noise}
                for name, path in (("test", daily_path(folder, key)), ("unseen", unseen_path(folder, key))):
                    days = pd.DataFrame({"date": DAYS, "rows": 5, "model": losses[name], "model_raw": losses[name]})
                    write_day_file(path, days.assign(base_rate=1.0, catboost=of_day * windows**-0.01, har=of_day))
                told = {"key": key, "symbols": symbols, "budget": budget, "params_total": params, "seed": seed}
                told |= {"train_windows": windows, "windows_seen": windows, "task": "volatility"}
                told |= {"test_loss": losses["test"].mean(), "test_rows": 5 * len(DAYS)}
                rows.append(row | told | {"unseen_loss": losses["unseen"].mean(), "unseen_rows": 5 * len(DAYS)})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("daily")
    (only,) = data_laws(ledger(folder), KNOWN, folder)
    return only


def test_runs_on_other_symbols_are_judged_on_the_symbols_that_none_has_seen(told: dict[str, Any]) -> None:
    assert told["test"] == "unseen"
    grid = told["grid"]
    lines = {(line["along"], line["at"], line["model"]): line for line in grid["lines"]}
    assert len(grid["cells"]) == len(PARAMS) * len(SYMBOLS)
    for budget in PARAMS:
        line = lines["training windows", budget, "model"]
        assert line["low"] < FALL_BY_DATA < line["high"]
        assert line["adjusted_p"] < 0.05
        assert "of loss per tenfold of training windows, established" in line["words"]
    for symbols in ("1 symbol", "16 symbols", "256 symbols"):
        line = lines["parameters", symbols, "model"]
        assert line["low"] < 0 < line["high"]
        assert "not established" in line["words"]
    assert lines["training windows", "", "catboost"]["exponent"] == pytest.approx(0.01, abs=1e-6)
    assert any(line["words"] in told["words"] for line in grid["lines"])


def test_changes_from_cell_to_cell_assume_no_law(told: dict[str, Any]) -> None:
    found = {(one["at"], one["first"], one["last"], one["model"]): one for one in told["grid"]["changes"]}
    for budget in PARAMS:
        for first, last in (("1 symbol", "256 symbols"), ("16 symbols", "256 symbols")):
            one = found[budget, first, last, "model"]
            truth = -FALL_BY_DATA * np.log(SYMBOLS["256"] / SYMBOLS[first.split()[0]])
            assert one["low"] < truth < one["high"] < 0
            assert one["words"].endswith("established")
    assert found["256 symbols", "10K", "1M", "model"]["adjusted_p"] > 0.05
    trees = found["", "1 symbol", "256 symbols", "catboost"]
    assert trees["change"] == pytest.approx(-0.01 * np.log(SYMBOLS["256"] / SYMBOLS["1"]), abs=1e-6)
    assert trees["words"].startswith("CatBoost: from 1 symbol to 256 symbols the loss changes by -5.4")


def test_without_symbols_that_none_has_seen_other_symbols_share_no_test(tmp_path: Path) -> None:
    (told,) = data_laws(ledger(tmp_path).assign(unseen_loss=np.nan), KNOWN, tmp_path)
    assert "universe.unseen = 0.2 keeps a test that is the same for all" in told["law"]["refused"]
    assert told["grid"] == told["law"]


def test_runs_without_losses_per_day_have_cells_and_no_lines(tmp_path: Path) -> None:
    rows = ledger(tmp_path, seeds=(0,)).assign(unique=lambda rows: rows["train_windows"])
    unseen_path(tmp_path, rows["key"].iloc[0]).unlink()
    grid = data_grid(rows, tmp_path)
    assert grid.lines == grid.changes == []
    assert grid.refused == "not all runs have losses per day"
    assert len(grid.cells) == len(PARAMS) * len(SYMBOLS)


def test_a_change_to_a_cell_of_one_seed_is_not_judged(tmp_path: Path) -> None:
    rows = ledger(tmp_path, seeds=(0,)).assign(unique=lambda rows: rows["train_windows"])
    own = next(one for one in data_grid(rows, tmp_path).changes if one.model == "model" and one.at == "10K")
    assert own.adjusted_p is None
    assert change_words(own).endswith("a cell has one seed: not judged")


def test_the_grid_is_drawn(told: dict[str, Any], tmp_path: Path) -> None:
    plot_data_grid(told["grid"], tmp_path / "grid.svg", loss_unit("volatility"))
    drawn = (tmp_path / "grid.svg").read_text()
    assert drawn.count("<path") > 50
    plot_data_grid(told["grid"], tmp_path / "grid.png", loss_unit("volatility"))
