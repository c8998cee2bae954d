"""The ledger as a file: what is no row is set aside and named, and nothing depends on the order of its lines."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.evaluation.day_file import write_day_file
from finscale.scaling.daily import read_daily
from finscale.scaling.ledger import add_rows, open_ledger, write_ledger
from stages import scaling as stage
from tests.planted_days import write_days

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "results/ledger.csv").read_text().splitlines()
HEADER, ROWS = LINES[0], LINES[1:]
WRITTEN = ("metrics/scaling.json", "reports/scaling.json", "reports/experiments.md", "results/all_results.csv")


def workspace(folder: Path, lines: list[str]) -> Path:
    """A folder in which the stage `scaling` runs on these lines."""
    (folder / "results").mkdir(parents=True)
    (folder / "results/ledger.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    for name in ("params.yaml", "phases.yaml", "results/settings.json"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """Runs the stage in a folder; returns its screen. Its pictures are left out: other tests draw them."""
    for name in ("draw_gallery", "draw_curve"):
        monkeypatch.setattr(stage, name, lambda *_: None)

    def run(folder: Path) -> str:
        monkeypatch.chdir(folder)
        stage.main()
        monkeypatch.chdir(ROOT)
        return capsys.readouterr().out

    return run


def column(line: str, name: str, value: str) -> str:
    values = line.split(",")
    values[HEADER.split(",").index(name)] = value
    return ",".join(values)


def faults(folder: Path, lines: list[str]) -> tuple[int, list[str]]:
    ledger = open_ledger(workspace(folder, lines) / "results/ledger.csv")
    return len(ledger.rows), [fault.split("results/ledger.csv, ")[-1] for fault in ledger.faults]


def test_the_committed_ledger_is_whole_and_comes_back_to_the_byte(tmp_path: Path) -> None:
    ledger = open_ledger(ROOT / "results/ledger.csv")
    assert ledger.faults == ()
    write_ledger(tmp_path / "ledger.csv", ledger.rows)
    assert (tmp_path / "ledger.csv").read_bytes() == (ROOT / "results/ledger.csv").read_bytes()


def test_counts_stay_whole_where_not_every_row_has_one(tmp_path: Path) -> None:
    old = open_ledger(ROOT / "results/ledger.csv").rows
    row = old.iloc[-1].dropna().to_dict() | {
        "key": "new",
        "name": "panel",
        "train_symbols": 16,
        "symbols": "16",
        "unseen_rows": 900,
    }
    write_ledger(tmp_path / "ledger.csv", add_rows(old, [row]))
    told = pd.read_csv(tmp_path / "ledger.csv", dtype=str).iloc[-1]
    assert (told["train_symbols"], told["unseen_rows"], told["symbols"]) == ("16", "900", "16")
    assert open_ledger(tmp_path / "ledger.csv").faults == ()


def test_shuffled_and_reversed_the_ledger_says_the_same(tmp_path: Path, scaling: Callable[[Path], str]) -> None:
    """With losses per day, so that intervals, bands, forecasts and paired tests are in what is compared."""
    orders = {"as it is": ROWS, "reversed": ROWS[::-1], "shuffled": random.Random(0).sample(ROWS, len(ROWS))}
    rows = open_ledger(ROOT / "results/ledger.csv").rows
    of_curve = rows[(rows["tier"] == "a20") & (rows["task"] == "threshold_1pct") & (rows["scheme"] == "single")]
    write_days(tmp_path / "daily", of_curve)
    said = {}
    for name, lines in orders.items():
        folder = workspace(tmp_path / name, lines)
        shutil.copytree(tmp_path / "daily", folder / "results/daily")
        said[name] = scaling(folder)
    assert "15 runs" in said["as it is"]
    told = json.loads((tmp_path / "as it is/metrics/scaling.json").read_text())
    assert told["covers"] == "seeds and days"
    assert told["forecast"]["low"] < told["forecast"]["error"] < told["forecast"]["high"]
    assert "## Against rivals" in (tmp_path / "as it is/reports/experiments.md").read_text()
    for written in WRITTEN:
        texts = {name: (tmp_path / name / written).read_text() for name in orders}
        assert len(set(texts.values())) == 1, written
    assert len(set(said.values())) == 1


def test_a_merge_s_markers_and_a_line_cut_in_half_are_named_and_the_other_rows_are_reported(
    tmp_path: Path, scaling: Callable[[Path], str]
) -> None:
    broken = [*ROWS[:40], "<<<<<<< HEAD", *ROWS[40:], ROWS[0][:300]]
    whole, damaged = workspace(tmp_path / "whole", ROWS), workspace(tmp_path / "damaged", broken)
    scaling(whole)
    said = scaling(damaged)
    aside = json.loads((damaged / "metrics/scaling.json").read_text())["set_aside"]
    assert [one.split(": ")[0] for one in aside] == [
        "results/ledger.csv, line 42",
        f"results/ledger.csv, line {len(ROWS) + 3}, key {ROWS[0].split(',')[0]}",
    ]
    assert "delete the lines that begin with <<<<<<<" in aside[0]
    assert "the line was cut" in aside[1]
    assert all(one in said and one in (damaged / "reports/experiments.md").read_text() for one in aside)
    for written in ("reports/scaling.json", "results/all_results.csv"):
        assert (whole / written).read_bytes() == (damaged / written).read_bytes()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (column(ROWS[4], "test_loss", "inf"), "test_loss = 'inf': input should be a finite number"),
        (column(ROWS[4], "test_loss", "nan"), "test_loss = 'nan': input should be a finite number"),
        (column(ROWS[4], "catboost_loss", "-1"), "catboost_loss = '-1' is no loss"),
        (column(ROWS[4], "seed", ""), "seed is missing"),
        (column(ROWS[4], "collapsed", "perhaps"), "collapsed = 'perhaps'"),
        (column(ROWS[4], "timestamp", "yesterday"), "timestamp = 'yesterday'"),
        (column(ROWS[4], "budget", "10K"), "298,929 parameters counted for a budget of 10K: more than 2 % apart"),
        (column(ROWS[4], "test_loss", "0.9"), "test_loss = 0.9 lies outside its interval"),
        (HEADER, "'seed': input should be a valid integer"),
        ('"' + ROWS[4], "the line was cut"),
        ("=======", "a merge left it"),
    ],
)
def test_a_line_that_is_no_row_is_named_and_costs_no_other_row(line: str, words: str, tmp_path: Path) -> None:
    left, said = faults(tmp_path, [*ROWS[:4], line, *ROWS[5:]])
    assert left == len(ROWS) - 1
    assert len(said) == 1
    assert said[0].startswith("line 6")
    assert words in said[0]


def test_a_value_beside_its_interval_by_rounding_alone_is_a_row(tmp_path: Path) -> None:
    beside = column(column(ROWS[4], "test_skill", "0.01"), "test_skill_low", "0.01")
    beside = column(beside, "test_skill_high", "0.009999999999999998")
    assert faults(tmp_path / "rounded", [*ROWS[:4], beside, *ROWS[5:]]) == (len(ROWS), [])
    left, said = faults(tmp_path / "wrong", [*ROWS[:4], column(beside, "test_skill_high", "0.00999"), *ROWS[5:]])
    assert left == len(ROWS) - 1
    assert "test_skill = 0.01 lies outside its interval" in said[0]


def test_of_two_results_under_one_key_the_first_that_ran_stands_in_either_order(tmp_path: Path) -> None:
    second = column(column(ROWS[0], "test_loss", "0.6"), "timestamp", "2027-01-01T00:00:00+00:00")
    for number, lines in enumerate(([ROWS[0], second], [second, ROWS[0]], [ROWS[0], ROWS[0]])):
        folder = tmp_path / str(number)
        left, said = faults(folder, lines)
        rows = open_ledger(folder / "results/ledger.csv").rows
        assert (left, len(said)) == (1, 1 if number < 2 else 0)
        assert rows["test_loss"].tolist() == [float(ROWS[0].split(",")[HEADER.split(",").index("test_loss")])]


def test_a_file_that_is_no_ledger_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger.csv").write_text("date,close\n2020-01-02,3.5\n")
    ledger = open_ledger(tmp_path / "ledger.csv")
    assert ledger.rows.empty
    assert "ledger.csv, line 1: no row can be read, it lacks the columns key, source" in ledger.faults[0]
    (tmp_path / "ledger.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"ledger\.csv is no text"):
        open_ledger(tmp_path / "ledger.csv")


DAYS = pd.DataFrame(
    {"date": pd.date_range("2020-01-01", periods=3), "rows": [1, 2, 1], "model": [0.5, 0.6, 0.7], "model_raw": 0.6}
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda days: days.drop(columns="model_raw"), "lacks model_raw"),
        (lambda days: days.assign(model=[0.5, float("inf"), 0.7]), "no finite number"),
        (lambda days: days.assign(date=days["date"].iloc[0]), "days do not follow each other"),
        (lambda days: days.head(2), "3 rows, the ledger's run 4"),
        (lambda days: days.assign(model=[0.5, 0.6, 0.9]), "mean loss is 0.65[0-9]*, the ledger's run has 0.6"),
    ],
)
def test_daily_losses_that_are_not_those_of_their_run_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "0123.parquet"
    write_day_file(path, DAYS)
    assert len(read_daily(path, 0.6, 4)) == 3
    write_day_file(path, change(DAYS))
    with pytest.raises(InputError, match=words):
        read_daily(path, 0.6, 4)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="no parquet file can be read"):
        read_daily(path)
