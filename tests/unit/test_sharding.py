"""Processes that share one model train it as one process does, whatever their number after each stop."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finscale.errors import InputError
from finscale.training.launch import processes_asked
from tests.unit.sharded_run import rest_of, stopped_after, trainer_of
from tests.unit.test_training import CONFIG, MODEL, trained


def test_one_process_then_two_twice_then_one_see_the_losses_of_one_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    stopped_after(10, trainer_of(state))
    of_one = (state / "step-00000010/state.safetensors").stat().st_size
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.unit.sharded_run", str(tmp_path), "20", "30"]  # fmt: skip
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0.4 < result["share"] < 0.6
    assert 0.4 < result["share_of_moments"] < 0.6
    assert "stopped by another process in epoch 2, after step 20" in result["told"][0]
    for saved in (state / "step-00000020", state / "step-00000030"):  # each its own part, nothing put together
        sizes = [path.stat().st_size for path in saved.glob("*.safetensors")]
        assert len(sizes) == 2
        assert max(sizes) < 0.8 * of_one

    epochs = rest_of(state)
    alone = trained(CONFIG.model_copy(update={"model": MODEL.model_copy(update={"dropout": 0.0})}))[2]
    assert len(epochs) == len(alone) > 3
    for ours, expected in zip(epochs, alone, strict=True):
        assert ours.train_loss == pytest.approx(expected.train_loss, abs=1e-5)
        assert ours.validation_loss == pytest.approx(expected.validation_loss, abs=1e-5)


def test_how_many_processes_are_started_is_asked_for_once() -> None:
    assert processes_asked({}) == processes_asked({"FINSCALE_PROCESSES": "1"}) == 1
    assert processes_asked({"FINSCALE_PROCESSES": "4", "RANK": "2"}) == 1  # one of torchrun's
    for wrong in ("0", "two", "-1", "1.5"):
        with pytest.raises(InputError, match=f"FINSCALE_PROCESSES = {wrong}: a number of processes from 1 on"):
            processes_asked({"FINSCALE_PROCESSES": wrong})
