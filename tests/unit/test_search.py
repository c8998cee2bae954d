"""The search, on planted data: seeded, pruned, resumed, and survived by its trials."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from finscale.errors import InputError
from finscale.search.objective import Problem, create_objective
from finscale.search.results import best_of, trials_table, write_results
from finscale.search.space import Choice, Range, SearchSpace
from finscale.search.study import create_study, run_hpo
from finscale.search.tuned import load_tuned
from finscale.training.config import ThermalConfig
from finscale.training.interrupt import RunStoppedError, StopRequest
from finscale.training.thermal import ThermalGuard
from tests.unit.search_run import BASE, BUDGET, EPOCHS, SPACE, config, objective
from tests.unit.test_training import COMPUTE, ROWS


def searched(folder: Path, trials: int, **changes: object) -> optuna.Study:
    settings = config(trials, **changes)
    study = create_study("planted", folder, settings)
    run_hpo(study, objective(folder, epochs=3), settings, folder)
    return study


def told(study: optuna.Study) -> list[tuple]:
    return [(trial.params, trial.value) for trial in study.trials if trial.state == TrialState.COMPLETE]


def test_a_study_repeats_and_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole", 13)  # TPE takes over after 10
    searched(tmp_path / "parts", 4)
    searched(tmp_path / "parts", 11)
    parts = searched(tmp_path / "parts", 13)
    assert len(told(whole)) == 13
    assert told(parts) == told(whole)
    assert told(searched(tmp_path / "other", 2, seed=1)) != told(whole)[:2]


def test_a_journal_that_ends_in_half_a_line_is_mended_and_one_with_garbage_named(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    before = told(searched(tmp_path, 2))
    journal = tmp_path / "journal.log"
    whole = journal.read_text()
    journal.write_text(whole + '{"op_code": 4, "worker_id": "x", "stu')  # a power cut
    assert told(searched(tmp_path, 3))[:2] == before
    assert "ended in half a line" in capsys.readouterr().out
    journal.write_text(f"{whole}garbage\n{whole}")
    lines = len(whole.splitlines())
    with pytest.raises(InputError, match=rf"line {lines + 1}: no entry of a study; `sed .*`rm -r {tmp_path}` begins"):
        searched(tmp_path, 3)
    journal.write_text('{"op_code": 4}\n')
    with pytest.raises(InputError, match=rf"cannot be read .*`rm -r {tmp_path}` begins the search anew"):
        searched(tmp_path, 3)


def test_a_finished_study_starts_no_trial(tmp_path: Path) -> None:
    searched(tmp_path, 2)
    assert len(searched(tmp_path, 2).trials) == 2


@pytest.mark.parametrize("storage", ["journal", pytest.param("database", marks=pytest.mark.slow)])
def test_a_killed_worker_s_trial_is_retried_from_its_checkpoint_and_counted_once(
    tmp_path: Path, storage: str, capsys: pytest.CaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}" if storage == "database" else None
    settings = config(2)
    study = create_study("planted", tmp_path, settings, url)
    command = [sys.executable, "-m", "tests.unit.search_run", str(tmp_path), "2", *([url] if url else [])]
    with subprocess.Popen(command) as worker:
        wait_for(lambda: list(tmp_path.glob("runs/*/seed-0/step-*[1-9]")))
        worker.kill()
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    run_hpo(study, objective(tmp_path, epochs=EPOCHS), settings, tmp_path, heartbeats=url is not None)

    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 2
    assert states.count(TrialState.FAIL) == 1
    assert states[0] == TrialState.FAIL
    assert "train: goes on after step" in capsys.readouterr().out
    retried = next(trial for trial in study.trials if trial.user_attrs["retried"])
    assert retried.params == study.trials[0].params
    fresh = objective(tmp_path / "fresh", epochs=EPOCHS)
    fixed = optuna.trial.FixedTrial(retried.params)
    assert retried.value == fresh.evaluate(Unpruned(fixed), retried.params)
    assert best_of(study)["n_trials_completed"] == 2
    assert best_of(study)["n_trials_retried"] == 1


class Unpruned:
    """A trial outside any study."""

    def __init__(self, trial: optuna.trial.FixedTrial) -> None:
        self._trial, self.number, self.params = trial, 0, trial.params

    def set_user_attr(self, name: str, value: object) -> None:
        self._trial.set_user_attr(name, value)

    def report(self, value: float, step: int) -> None:
        pass

    def should_prune(self) -> bool:
        return False


def wait_for(condition: object) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "nothing happened for 30 s"
        time.sleep(0.02)


def test_processes_share_a_study_and_reach_the_asked_number_together(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.search_run", str(tmp_path), "4"]
    create_study("planted", tmp_path, config(4))
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    study = create_study("planted", tmp_path, config(4))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert len({trial.user_attrs["worker"] for trial in study.trials}) == 2
    assert len({trial.params["learning_rate"] for trial in study.trials}) == 4


def test_a_stopped_trial_is_queued_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    settings = config(1)
    study = create_study("planted", tmp_path, settings)
    stopping = objective(tmp_path, epochs=4)

    class AfterSomeSteps(StopRequest):
        looks = 0

        def __bool__(self) -> bool:
            self.looks += 1
            return self.looks > 20

    stopping.stop = AfterSomeSteps()
    stopping.stop.signal = "SIGTERM"
    with pytest.raises(RunStoppedError, match="stopped by SIGTERM in epoch"):
        run_hpo(study, stopping, settings, tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    run_hpo(study, objective(tmp_path, epochs=4), settings, tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert "train: goes on after step" in capsys.readouterr().out
    assert study.trials[1].value == told(uninterrupted(tmp_path / "again", settings))[0][1]


def uninterrupted(folder: Path, settings: object) -> optuna.Study:
    study = create_study("planted", folder, settings)
    run_hpo(study, objective(folder, epochs=4), settings, folder)
    return study


def test_a_critical_temperature_ends_the_search_between_trials_and_keeps_the_study(tmp_path: Path) -> None:
    settings = config(5)
    study = create_study("planted", tmp_path, settings)
    heating = objective(tmp_path, epochs=2)
    readings = iter([50.0, 50.0, 96.0])
    heating.guard = ThermalGuard(ThermalConfig(check_batches=10_000), lambda: next(readings))
    with pytest.raises(RunStoppedError, match=r"tune: stopped at 96 °C .* with 2 of 5 trials complete"):
        run_hpo(study, heating, settings, tmp_path)
    assert len(told(create_study("planted", tmp_path, settings))) == 2


def test_a_trial_worse_than_the_median_ends_early_and_is_not_counted(tmp_path: Path) -> None:
    space = SearchSpace((Choice("learning_rate", (1e-7, 3e-3)), Range("weight_decay", 1e-4, 1e-1, None, True)))
    settings = config(8, pruning={"after_epochs": 2, "finished_trials": 3})
    study = create_study("planted", tmp_path, settings)
    run_hpo(study, objective(tmp_path, space, epochs=6), settings, tmp_path)
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert all(len(trial.intermediate_values) < 6 for trial in pruned)
    assert len(told(study)) == 8
    assert not list((tmp_path / "runs").glob("*/seed-*"))  # nothing is left of finished runs


def test_a_trial_is_worth_the_mean_over_its_seeds(tmp_path: Path) -> None:
    values = {"learning_rate": 3e-3, "weight_decay": 0.01}
    losses = [
        objective(tmp_path, seeds=seeds, epochs=3).evaluate(Unpruned(optuna.trial.FixedTrial(values)), values)
        for seeds in ((0,), (1,), (0, 1))
    ]
    assert losses[0] != losses[1]
    assert losses[2] == (losses[0] + losses[1]) / 2


def test_a_diverging_trial_is_pruned_and_the_search_goes_on(tmp_path: Path) -> None:
    space = SearchSpace((Choice("learning_rate", (3e-3, 1e4)), Choice("clip_norm", (1.0, 1e6))))
    study = create_study("planted", tmp_path, config(3))
    run_hpo(study, objective(tmp_path, space, epochs=3), config(3), tmp_path)
    diverged = [trial for trial in study.trials if "diverged" in trial.user_attrs]
    assert diverged
    assert all(trial.state == TrialState.PRUNED for trial in diverged)


def test_contexts_of_different_length_are_compared_on_the_same_days(tmp_path: Path) -> None:
    made = objective(tmp_path, SearchSpace((Choice("model.context_length", (12, 16)),)))
    short, long = (made._windows_of(length) for length in (12, 16))
    for split in ("train", "validation"):
        assert short[split].keys.equals(long[split].keys)
    with pytest.raises(InputError, match=r"context_length = 64 needs more history than the first train day"):
        objective(tmp_path, SearchSpace((Choice("model.context_length", (16, 64)),)))


def test_test_rows_would_change_nothing(tmp_path: Path) -> None:
    later = ROWS.tail(100).assign(split="test", label=1.0, first=0.0, date=ROWS["date"] + pd.Timedelta(days=2000))
    values = {"learning_rate": 3e-3}
    usual, spoiled = (
        create_objective(SPACE, Problem(rows, BASE, BUDGET, True, (0,), COMPUTE), tmp_path / name).evaluate(
            Unpruned(optuna.trial.FixedTrial(values)), values
        )
        for name, rows in (("a", ROWS), ("b", pd.concat([ROWS, later], ignore_index=True)))
    )
    assert usual == spoiled


def test_a_space_without_a_model_of_the_budget_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finscale.search.study._MOST_UNBUILDABLE", 12)
    space = SearchSpace((Range("width_to_depth", 1000.0, 2000.0, None, True),))
    study = create_study("planted", tmp_path, config(2))
    with pytest.raises(InputError, match=r"of 12 trials none could be trained; .* Widen the space"):
        run_hpo(study, objective(tmp_path, space), config(2), tmp_path)


def test_results_hold_what_training_needs(tmp_path: Path) -> None:
    study = searched(tmp_path / "study", 5)
    about = {"experiment": {"source": "bundled"}, "task": "direction", "data": "abc"}
    path = write_results(study, BUDGET, about, tmp_path / "tune")
    assert path.name == "5K_best.json"
    tuned = load_tuned(tmp_path / "tune", BASE, "direction", BUDGET, "abc")
    best = study.best_trial
    assert tuned.config.learning_rate == best.params["learning_rate"]
    assert tuned.config.weight_decay == best.params["weight_decay"]
    assert tuned.source["value"] == best.value == min(value for _, value in told(study))
    files = {file.name for file in (tmp_path / "tune").iterdir()}
    assert files == {"5K_best.json", "trials.csv", "history.png", "importance.png", "parallel_coordinates.png"}
    assert len(trials_table(study)) == 5
    before = {name: (tmp_path / "tune" / name).read_bytes() for name in files}
    write_results(create_study("planted", tmp_path / "study", config(5)), BUDGET, about, tmp_path / "tune")
    assert before == {name: (tmp_path / "tune" / name).read_bytes() for name in files}


@pytest.mark.parametrize(
    ("task", "budget", "data", "says"),
    [
        ("regression", BUDGET, "abc", r"task = direction, while this experiment has regression; `dvc repro tune`"),
        ("direction", 10_000, "abc", r"from_tune = true, but there is no .*10K_best.json; search with"),
        ("direction", BUDGET, "new", r"data = abc, while this experiment has new"),
    ],
)
def test_parameters_of_another_experiment_are_refused(
    tmp_path: Path, task: str, budget: int, data: str, says: str
) -> None:
    write_results(searched(tmp_path / "s", 1), BUDGET, {"task": "direction", "data": "abc"}, tmp_path / "tune")
    with pytest.raises(InputError, match=says):
        load_tuned(tmp_path / "tune", BASE, task, budget, data)


def test_an_unfinished_study_leaves_earlier_results_alone(tmp_path: Path) -> None:
    (tmp_path / "tune").mkdir()
    (tmp_path / "tune/5K_best.json").write_text("{}")
    with pytest.raises(InputError, match=r"no trial is complete; raise tune\.time_limit_hours"):
        write_results(create_study("planted", tmp_path, config(1)), BUDGET, {}, tmp_path / "tune")
    assert (tmp_path / "tune/5K_best.json").read_text() == "{}"


def test_no_trial_starts_after_the_time_limit(tmp_path: Path) -> None:
    assert 1 <= len(told(searched(tmp_path, 500, time_limit_hours=0.5 / 3600))) < 500


def test_a_temperature_that_turns_critical_within_a_trial_ends_the_search_with_the_trial_saved(tmp_path: Path) -> None:
    settings = config(1)
    study = create_study("planted", tmp_path, settings)
    heating = objective(tmp_path, epochs=4)
    readings = iter([50.0, 50.0, 97.0])
    thermal = ThermalConfig(check_batches=5)
    heating.problem = replace(heating.problem, base=heating.problem.base.model_copy(update={"thermal": thermal}))
    heating.guard = ThermalGuard(thermal, lambda: next(readings))
    with pytest.raises(RunStoppedError, match=r"stopped at 97 °C .* after step 10; saved in"):
        run_hpo(study, heating, settings, tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]
