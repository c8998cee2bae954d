"""phases.yaml: the rows of the specification, what is expected of them, and what of a phase is run or refused."""

from pathlib import Path

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.scaling.phases import load_hypotheses, load_phase
from finscale.scaling.refused import in_short, read_refused
from finscale.scaling.settings import digest_of, settings_of
from study.experiments import params_with
from study.phase import chosen, parse_settings, record_refusals
from study.workers import Run, reason, reasons

PHASES = Path("phases.yaml")


@pytest.mark.parametrize(
    ("phase", "experiments"), [("1", 4), ("2", 7), ("3", 5), ("4", 4), ("5", 8), ("6", 8 * 6 * 3), ("6A", 4 * 4 * 5)]
)
def test_every_phase_has_the_experiments_of_the_specification(phase: str, experiments: int) -> None:
    rows = load_phase(PHASES, phase)
    assert len(rows) == 3 * experiments  # three seeds each
    assert len({row.run_name for row in rows}) == len(rows)
    assert len({tuple(sorted((k, str(v)) for k, v in row.axes.items())) for row in rows}) == len(rows)


def test_the_pilot_is_a_ladder_on_bundled_data_whose_runs_bear_its_name() -> None:
    rows = load_phase(PHASES, "pilot")
    assert {row.run_name for row in rows} == {
        f"pilot-{budget}-s{seed}" for budget in ("10K", "30K", "100K", "300K", "1M") for seed in (0, 1, 2)
    }
    same = {"assets": "A", "quality": "a", "tier": "a20", "task": "threshold_1pct", "timescale": "daily", "horizon": 5}
    assert all(same.items() <= row.axes.items() and row.axes["source"] == "bundled" for row in rows)


def test_every_phase_says_what_is_expected_of_it_in_one_sentence() -> None:
    told = {one.phase: one.expects for one in load_hypotheses(PHASES)}
    assert list(told) == ["pilot", "1", "2", "3", "4", "5", "6", "6A", "panel"]
    assert all(words.endswith(".") and ". " not in words for words in told.values())


def test_a_hypothesis_is_met_by_the_curves_of_its_axes_whatever_the_source_but_not_by_simulated_ones() -> None:
    pilot, first = load_hypotheses(PHASES)[:2]
    axes = {
        "assets": "A",
        "symbols": "all",
        "history": "all",
        "quality": "a",
        "timescale": "daily",
        "tier": "a50",
        "task": "direction",
        "horizon": "5",
    }
    runs = pd.DataFrame([
        axes | {"experiment": "own files", "source": "directory", "budget": "10K"},
        axes | {"experiment": "own files", "source": "directory", "budget": "30K"},
        axes | {"experiment": "control", "source": "simulated"},
        axes | {"experiment": "other tier", "source": "live", "tier": "a100"},
        axes | {"experiment": "other horizon", "source": "live", "horizon": "weekly"},
    ])  # fmt: skip
    assert first.experiments(runs) == ["own files"]
    assert pilot.experiments(runs) == []


def test_a_row_is_run_at_its_own_size_whatever_the_source_and_seed() -> None:
    pilot = load_hypotheses(PHASES)[0]
    axes = {**pilot.rows[0].axes, "symbols": "all", "history": "all", "horizon": "5", "seed": 7}
    runs = pd.DataFrame([
        axes | {"budget": "30K", "source": "directory"},
        axes | {"budget": "1M", "source": "simulated"},
        axes | {"budget": "20K", "source": "live"},
    ])  # fmt: skip
    assert pilot.not_run(runs) == ["pilot-10K", "pilot-100K", "pilot-300K", "pilot-1M"]
    assert len(pilot.not_run(runs.head(0))) == 5


def test_phase_five_is_as_written() -> None:
    row = next(row for row in load_phase(PHASES, "5") if row.name == "P5-8")
    assert row.axes == {
        "source": "live", "timescale": "daily", "horizon": 5, "task": "direction", "budget": "200M", "tier": "a500",
        "assets": "E", "symbols": None, "history": None, "quality": "d", "seed": 0,
    }  # fmt: skip


def test_budgets_and_seeds_that_a_machine_can_afford_take_the_place_of_the_file_s() -> None:
    rows = load_phase(PHASES, "1", ["10K", "30K"], [7])
    assert [row.run_name for row in rows] == ["P1-10K-s7", "P1-30K-s7"]
    rows = load_phase(PHASES, "2", ["100K"], [0])
    assert [row.name for row in rows][:2] == ["P2-20-100K", "P2-50-100K"]
    assert {row.axes["budget"] for row in rows} == {"100K"}
    assert len(load_phase(PHASES, "6A", ["10K", "30K"], [0])) == 4 * 2 * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phases: {'1': {rows: {P1: {budget: 2M}}}}", "phase 1, P1: .* missing or no axis"),
        ("phases: {'1': {row: {}}}", "phase 1: row is not known; allowed: expects, fixed, grid, recipe, rows"),
        ("phases: {'2': {}}", "no phase '1'; there are 2"),
        ("phases: {'1': {expects: [flat]}}", r"phase 1: expects is one sentence, not \['flat'\]"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "phases.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_hypotheses(path) if "expects" in text else load_phase(path, "1")


def test_settings_are_read_as_in_params_yaml() -> None:
    assert parse_settings(["data.end=2024-12-31", "train.epochs=5", "source=directory"]) == {
        "data.end": "2024-12-31", "train.epochs": 5, "source": "directory",
    }  # fmt: skip
    with pytest.raises(InputError, match="--set takes KEY=VALUE"):
        parse_settings(["source"])


def test_failed_runs_are_told_by_reason_in_the_words_of_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.workers.LOGS", tmp_path)
    few = "Running stage 'dataset':\nerror: dataset: 16 positives\nERROR: failed to reproduce 'dataset'\n"
    for name, log in {"a-s0": few, "a-s1": few, "b": "Traceback\nMemoryError\n", "c": ""}.items():
        (tmp_path / f"{name}.log").write_text(log)
    told = reasons([Run(name, {}) for name in ("a-s0", "b", "a-s1", "c")])
    assert told.splitlines() == [
        "  dataset: 16 positives", "    a-s0, a-s1", "  MemoryError", "    b", "  its log is empty", "    c",
    ]  # fmt: skip


def test_what_the_data_refuse_goes_on_record_once_and_other_failures_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.workers.LOGS", tmp_path)
    monkeypatch.setattr("study.phase.REFUSED", tmp_path / "refused.csv")
    monkeypatch.setattr("study.phase.LOCK", tmp_path / "lock")
    few = "error: dataset: the validation split has 11 positives for task threshold_5pct, fewer than\n"
    (tmp_path / "few.log").write_text(few)
    (tmp_path / "killed.log").write_text("error: no memory\n")
    runs = [Run("few", {"task": "threshold_5pct", "budget": "10K", "train.epochs": 2}), Run("killed", {"seed": 1})]
    for _ in range(2):  # the phase again
        record_refusals([(one.settings, reason(one)) for one in runs])
    [row] = read_refused(tmp_path / "refused.csv").to_dict("records")
    assert (row["task"], row["budget"], row["seed"], row["scheme"]) == ("threshold_5pct", "10K", "0", "single")
    assert row["settings"] == digest_of(settings_of(params_with({"train.epochs": 2})))
    assert in_short(row["reason"]) == "refused: 11 positives"


def test_some_rows_of_a_phase_can_be_run_alone() -> None:
    rows = load_phase(Path("phases.yaml"), "2", ["10K"], [0, 1])
    assert [row.run_name for row in chosen(rows, ["P2-500", "P2-20"])] == [
        "P2-20-10K-s0", "P2-20-10K-s1", "P2-500-10K-s0", "P2-500-10K-s1",
    ]  # fmt: skip
    assert chosen(rows, None) == rows
    with pytest.raises(InputError, match="no row P2-50K; there are P2-20-10K, P2-50-10K"):
        chosen(rows, ["P2-20", "P2-50K"])
