"""The search as a stage: off by default, killed and gone on, and used by training; real stages, real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml

from tests.conftest import write_development

ROOT = Path(__file__).parents[2]
SPACE = "learning_rate: {low: 0.001, high: 0.01, log: true}\nn_heads: {choices: [2, 4]}\n"


def planted(days: int = 700) -> pd.DataFrame:
    """Two channels of noise; the label says whether the first rose over the last eight days."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(days, 2)).cumsum(axis=0)
    label = np.append(np.zeros(8), walk[8:, 0] > walk[:-8, 0]).astype(float)
    split = np.where(np.arange(days) < 128, "none", np.where(np.arange(days) < days * 0.7, "train", "validation"))
    dates = pd.bdate_range("2010-01-01", periods=days)
    keys = {"date": dates, "asset": "X", "split": split, "label": label, "exit": dates, "last_known": np.nan}
    return pd.DataFrame(keys | {"first": walk[:, 0], "second": walk[:, 1]})


class Workspace:
    """A folder with the code, a small space and planted data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in ("finscale", "stages", "search_spaces", "universes"):
            shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        (path / "search_spaces/small.yaml").write_text(SPACE)
        shutil.copyfile(ROOT / "params.yaml", path / "params.yaml")
        self.set(budget="10K", train={"epochs": 6}, tune={"space": "small"})
        write_development(path, planted())

    def set(self, **changes: object) -> None:
        """Change settings; `configure` runs before `tune`, as in dvc.yaml."""
        params = yaml.safe_load((self.path / "params.yaml").read_text())
        for key, value in changes.items():
            params[key] = params[key] | value if isinstance(value, dict) else value
        (self.path / "params.yaml").write_text(yaml.safe_dump(params))
        subprocess.run([sys.executable, "-m", "stages.configure"], cwd=self.path, env=self.environment(), check=True)

    def environment(self) -> dict[str, str]:
        return os.environ | {"FINSCALE_SCRATCH": str(self.path / "scratch"), "PYTHONUNBUFFERED": "1"}

    def start(self, stage: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", f"stages.{stage}"], cwd=self.path, env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, stage: str, code: int = 0) -> str:
        process = self.start(stage)
        told = process.communicate(timeout=120)[0]
        assert process.returncode == code, told
        return told

    def best(self) -> dict:
        return json.loads((self.path / "models/tune/10K_best.json").read_text())

    def wait_for_states(self, process: subprocess.Popen, count: int) -> None:
        while len(list(self.path.glob("scratch/search/*/runs/*/seed-0/step-*"))) < count:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_without_trials_nothing_is_searched_and_an_earlier_search_leaves(workspace: Workspace) -> None:
    workspace.set(tune={"trials": 1})
    workspace.run("tune")
    assert workspace.best()["n_trials_completed"] == 1
    workspace.set(tune={"trials": 0})
    assert "tune: off (tune.trials = 0)" in workspace.run("tune")
    assert [file.name for file in (workspace.path / "models/tune").iterdir()] == ["trials.csv"]


def test_training_uses_the_best_trial_and_says_so(workspace: Workspace) -> None:
    workspace.set(tune={"trials": 3}, train={"from_tune": True})
    workspace.run("tune")
    told = workspace.run("train")
    best = workspace.best()
    assert f"train: settings and shape of trial {best['best_trial']['number']} of study {best['study_name']}" in told
    made = json.loads((workspace.path / "models/model.json").read_text())
    assert made["shape"] == best["shape"]
    assert made["run"]["tuned"]["trial"] == best["best_trial"]["number"]
    assert made["run"]["validation_loss"] == best["best_value"]  # the seed that was searched with


def test_training_asks_for_a_search_where_there_is_none(workspace: Workspace) -> None:
    workspace.run("tune")
    workspace.set(train={"from_tune": True})
    told = workspace.run("train", code=1)
    assert "error: train.from_tune = true, but there is no models/tune/10K_best.json; search with" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_search_goes_on_to_the_same_result(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals
) -> None:
    workspace.set(tune={"trials": 3})
    process = workspace.start("tune")
    workspace.wait_for_states(process, 1)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (1, -signal.SIGKILL)
    told = workspace.run("tune")
    assert "goes on after step" in told
    whole = Workspace(tmp_path_factory.mktemp("whole"))
    whole.set(tune={"trials": 3})
    whole.run("tune")
    same = ("best_value", "best_params", "n_trials_completed", "n_trials_pruned")
    assert {key: workspace.best()[key] for key in same} == {key: whole.best()[key] for key in same}
    assert workspace.best()["n_trials_retried"] == 1


@pytest.mark.slow
def test_a_search_of_two_processes_survives_the_loss_of_one(workspace: Workspace) -> None:
    workspace.set(tune={"trials": 4, "workers": 2}, train={"epochs": 20})
    process = workspace.start("tune")
    workspace.wait_for_states(process, 1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.is_file():
        process.terminate()
        pytest.skip("this system does not list a process's children under /proc")
    trainers = [int(pid) for pid in children.read_text().split() if b"spawn_main" in command_line(int(pid))]
    os.kill(trainers[0], signal.SIGKILL)
    told = process.communicate(timeout=120)[0]
    assert process.returncode == 0, told
    assert workspace.best()["n_trials_completed"] == 4


@pytest.mark.slow
def test_the_processes_of_a_killed_search_stop_by_themselves(workspace: Workspace) -> None:
    workspace.set(tune={"trials": 4, "workers": 2}, train={"epochs": 500, "patience": 500})
    process = workspace.start("tune")
    workspace.wait_for_states(process, 2)
    trainers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
    assert len(trainers) == 2
    process.kill()
    process.communicate(timeout=60)  # they hold its output open as long as they live
    assert psutil.wait_procs(trainers, timeout=30)[1] == []
    assert len(list(workspace.path.glob("scratch/search/*/runs/*/seed-0/step-*"))) >= 2  # and what they had is kept


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_wrong_space_is_named_even_while_the_search_is_off(workspace: Workspace) -> None:
    workspace.set(tune={"space": "none"})
    assert "error: search_spaces/none.yaml: no such file" in workspace.run("tune", code=1)
