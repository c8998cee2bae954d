"""Two processes that share one model train it as one process does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_training import CONFIG, MODEL, trained


def test_two_sharded_processes_see_the_losses_of_one_also_across_a_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.unit.sharded_run", str(tmp_path)]  # fmt: skip
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0.4 < result["share"] < 0.6
    assert "stopped by another process in epoch 2, after step 20" in result["told"]
    alone = trained(CONFIG.model_copy(update={"model": MODEL.model_copy(update={"dropout": 0.0})}))[2]
    assert len(result["epochs"]) == len(alone) > 3
    for ours, expected in zip(result["epochs"], alone, strict=True):
        assert ours["train_loss"] == pytest.approx(expected.train_loss, abs=1e-5)
        assert ours["validation_loss"] == pytest.approx(expected.validation_loss, abs=1e-5)
