"""Ctrl-C on `dvc repro` while it trains, and `dvc repro` again: as if nothing had happened."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import Workspace, small_clone


def interrupted(workspace: Workspace) -> str:
    """`dvc repro train`, stopped once its first epoch is saved by the SIGINT that a terminal sends to all processes."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    log = workspace.path.parent / "interrupted.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["dvc", "repro", "train"], cwd=workspace.path, env=environment, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and not list(workspace.path.glob(".dvc/tmp/training/*/step-*")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) != 0
    return log.read_text()


@pytest.mark.slow
def test_dvc_repro_stopped_by_ctrl_c_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    clone = small_clone(tmp_path / "interrupted")
    clone.set_params(train={"epochs": 4})
    clone.run("dvc", "repro", "dataset", "tune")
    before = clone.outputs()
    straight = Workspace(tmp_path / "straight")  # of its own cache, so that no result is fetched
    shutil.copytree(clone.path, straight.path, symlinks=True)
    straight.run("dvc", "repro", "train")

    told = interrupted(clone)
    step = int(re.search(r"stopped by SIGINT in epoch \d+, after step (\d+); saved .* `dvc repro` goes on", told)[1])
    assert "Traceback" not in told
    made = {path for path, content in clone.outputs().items() if before.get(path) != content}
    assert all(path.startswith("dvclive/") for path in made)  # the curves of the run under way, and no result

    told = clone.run("dvc", "repro", "train")
    assert f"goes on after step {step}" in told
    expected, found = straight.outputs(), clone.outputs()
    assert found.keys() == expected.keys()
    assert "models/model.safetensors" in found
    assert {path for path in found if found[path] != expected[path]} <= {"models/runtime.json"}
