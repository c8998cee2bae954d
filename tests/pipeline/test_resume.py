"""An interrupted run goes on where it stopped: the real stage in real processes, killed at random steps."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import write_development

ROOT = Path(__file__).parents[2]
SETTINGS = {"epochs": 6, "patience": 3, "learning_rate": 0.01}


class Workspace:
    """A folder with the code, the settings of a short run and its data; a saved state after every second step."""

    command: tuple[str, ...] = ("-m", "stages.train")
    processes: int = 1  # FINSCALE_PROCESSES

    def __init__(self, path: Path, rows: pd.DataFrame) -> None:
        self.path, self.scratch = path, path / "scratch"
        for folder in ("finscale", "stages"):
            shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"budget": "10K"}
        params["train"] |= SETTINGS | {"checkpoint": {"every_epochs": 5, "every_steps": 2, "keep": 3}}
        (path / "params.yaml").write_text(yaml.safe_dump(params))
        write_development(path, rows)

    def start(self) -> subprocess.Popen:
        environment = os.environ | {"FINSCALE_SCRATCH": str(self.scratch), "PYTHONUNBUFFERED": "1"}
        environment["FINSCALE_PROCESSES"] = str(self.processes)
        return subprocess.Popen(
            [sys.executable, *self.command], cwd=self.path, env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def set_train(self, **changes: object) -> None:
        """Change single settings of the block `train`."""
        params = yaml.safe_load((self.path / "params.yaml").read_text())
        for key, value in changes.items():
            params["train"][key] = params["train"][key] | value if isinstance(value, dict) else value
        (self.path / "params.yaml").write_text(yaml.safe_dump(params))

    def saved_steps(self) -> int:
        """The step of the newest saved state."""
        names = [folder.name for folder in self.scratch.glob("*/step-*")]
        return max((int(name.removeprefix("step-")) for name in names), default=0)

    def stop_after(self, step: int, number: signal.Signals) -> tuple[str, int] | None:
        """Start, send the signal once a state from `step` on is saved; None where the run was over before."""
        process = self.start()
        while process.poll() is None and self.saved_steps() < step:
            time.sleep(0.002)
        process.send_signal(number)
        told = process.communicate(timeout=60)[0]
        return (told, process.returncode) if process.returncode else None

    def finish(self, timeout: float = 120) -> str:
        process = self.start()
        told = process.communicate(timeout=timeout)[0]
        assert process.returncode == 0, told
        return told

    def results(self) -> dict[str, bytes]:
        """Every output but the measured time."""
        files = [file for folder in ("models", "dvclive") for file in sorted((self.path / folder).rglob("*"))]
        found = {file.relative_to(self.path).as_posix(): file.read_bytes() for file in files if file.is_file()}
        return {name: content for name, content in found.items() if name != "models/runtime.json"}


@pytest.fixture(scope="module")
def uninterrupted(development: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    workspace = Workspace(tmp_path_factory.mktemp("straight"), development)
    workspace.finish()
    return workspace.results()


@pytest.fixture
def workspace(development: pd.DataFrame, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, development)


def test_a_run_killed_at_random_steps_ends_with_the_same_bytes(
    workspace: Workspace, uninterrupted: dict[str, bytes]
) -> None:
    steps = json.loads(uninterrupted["models/model.json"])["run"]["steps"]
    kills = sorted(random.Random(0).sample(range(2, steps - 5), 2))
    stopped = [workspace.stop_after(step, signal.SIGKILL) for step in kills]
    assert [told_and_code and told_and_code[1] for told_and_code in stopped] == [-signal.SIGKILL] * 2
    told = workspace.finish()
    gone_on = int(re.search(r"goes on after step (\d+)", told)[1])
    assert kills[-1] <= gone_on < steps
    assert workspace.results() == uninterrupted
    assert not list(workspace.scratch.glob("*/step-*"))  # nothing is left of a completed run


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_stops_the_run_with_its_step_saved(
    workspace: Workspace, uninterrupted: dict[str, bytes], number: signal.Signals
) -> None:
    told, code = workspace.stop_after(51, number)
    assert code == 1
    assert "Traceback" not in told
    step = int(re.search(rf"stopped by {number.name} in epoch \d+, after step (\d+);.*`dvc repro` goes on", told)[1])
    assert workspace.saved_steps() == step >= 51
    assert f"goes on after step {step}" in workspace.finish()
    assert workspace.results() == uninterrupted


def test_a_damaged_newest_state_falls_back_to_the_one_before(
    workspace: Workspace, uninterrupted: dict[str, bytes]
) -> None:
    workspace.stop_after(70, signal.SIGKILL)
    states = sorted(workspace.scratch.glob("*/step-*"))
    assert len(states) in (3, 4)  # keep = 3, and one more where the kill came before the oldest was removed
    tensors = states[-1] / "state.safetensors"
    damaged = bytearray(tensors.read_bytes())
    damaged[-100] ^= 1
    tensors.write_bytes(damaged)
    told = workspace.finish()
    assert f"{states[-1]} is damaged: its checksum differs; going back to the state before it" in told
    assert f"goes on after step {int(states[-2].name.removeprefix('step-'))}" in told
    assert workspace.results() == uninterrupted


def test_another_setting_does_not_find_the_state(workspace: Workspace) -> None:
    workspace.stop_after(20, signal.SIGKILL)
    workspace.set_train(weight_decay=0.5)
    assert "goes on" not in workspace.finish()
