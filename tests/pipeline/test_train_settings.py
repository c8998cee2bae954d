"""The stage `train` as it is started on large machines: several processes, compiled, with passes that memory takes."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from tests.pipeline.test_resume import Workspace

TWO_PROCESSES = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "stages.train")
# Every process, and every split of a batch, draws other dropout masks: without them, results agree to rounding.
EXACT = {"epochs": 3, "batch_size": 128, "precision": "fp32", "model": {"dropout": 0.0}}


def losses(workspace: Workspace) -> pd.DataFrame:
    """One row per epoch."""
    folder = workspace.path / "dvclive/plots/metrics"
    return pd.DataFrame(
        {split: pd.read_csv(folder / split / "loss.tsv", sep="\t")["loss"] for split in ("train", "validation")}
    )


def make(path: Path, rows: pd.DataFrame, **changes: object) -> Workspace:
    path.mkdir()
    workspace = Workspace(path, rows)
    workspace.set_train(**EXACT | changes)
    return workspace


@pytest.fixture(scope="module")
def alone(development: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A complete run of one process, whole batches, not compiled."""
    workspace = make(tmp_path_factory.mktemp("alone") / "run", development)
    workspace.finish()
    return workspace


def check_equal(ours: Workspace, expected: Workspace) -> None:
    """Losses to 1e-5, and one whole model that anyone can load, with the same weights."""
    assert len(losses(ours)) == EXACT["epochs"]
    pd.testing.assert_frame_equal(losses(ours), losses(expected), rtol=0, atol=1e-5)
    found, wanted = (load_file(it.path / "models/model.safetensors") for it in (ours, expected))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].numpy() == pytest.approx(tensor.numpy(), abs=1e-3), name


@pytest.mark.slow
def test_two_processes_train_what_one_does_and_write_it_once(
    alone: Workspace,
    development: pd.DataFrame,
    tmp_path: Path,
) -> None:
    workspace = make(tmp_path / "run", development)
    workspace.command = TWO_PROCESSES
    told = workspace.finish()
    check_equal(workspace, alone)
    assert told.count("parameters {") == 1
    assert told.count(" windows/s, train=") > 0
    assert workspace.results().keys() == alone.results().keys()
    assert not list(workspace.scratch.glob("*/step-*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_processes_that_the_stage_starts_stop_together_saved_and_one_goes_on(
    alone: Workspace,
    development: pd.DataFrame,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    workspace = make(tmp_path / "run", development)
    workspace.processes = 2
    process = workspace.start()
    while process.poll() is None and workspace.saved_steps() < 6:
        time.sleep(0.01)
    if number == signal.SIGINT:  # a terminal's Ctrl-C reaches every process
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    told = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    step = int(re.search(rf"stopped by {number.name} in epoch \d+, after step (\d+)", told)[1])
    assert workspace.saved_steps() == step >= 6
    assert len(list(workspace.scratch.glob(f"*/step-{step:08d}/*.safetensors"))) == 2  # a part of each
    workspace.processes = 1
    assert f"goes on after step {step}" in workspace.finish()
    check_equal(workspace, alone)


def test_passes_that_memory_takes_are_found_remembered_and_change_no_result(
    alone: Workspace,
    development: pd.DataFrame,
    tmp_path: Path,
) -> None:
    workspace = make(tmp_path / "run", development, micro_batch="auto")
    assert "128 windows of a batch of 128 in one pass" in workspace.finish()
    check_equal(workspace, alone)
    file = workspace.scratch / "batch_sizes.json"
    (key,) = known = json.loads(file.read_text())
    assert known[key] == 128
    file.write_text(json.dumps({key: 50}))  # as found where memory is short
    assert "50 windows of a batch of 128 in one pass" in workspace.finish()
    check_equal(workspace, alone)
    assert json.loads((workspace.path / "models/runtime.json").read_text())["micro_batch"] == 50


@pytest.mark.slow
def test_a_compiled_run_gives_the_same_model(
    alone: Workspace,
    development: pd.DataFrame,
    tmp_path: Path,
) -> None:
    workspace = make(tmp_path / "run", development, compile=True)
    workspace.finish(timeout=400)
    check_equal(workspace, alone)
