"""Saved states: whole or absent, checksummed, few, and found by their key alone."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from finscale.training import interrupt
from finscale.training.interrupt import stop_on_signals
from finscale.training.resume import SavedRun, claim, collect_orphans, run_key
from finscale.training.scratch import scratch_folder
from finscale.training.sharding import read_tensors


def saved(folder: Path, steps: range, best: int = 1) -> SavedRun:
    run = SavedRun(folder, keep=3)
    run.save_best({"w": torch.full((3,), float(best))}, best, 0.5)
    for step in steps:
        run.save({"w": torch.full((4,), float(step))}, {"step": step, "best_epoch": best})
    return run


def read(folder: Path, size: int) -> list[float]:
    tensors = {"w": torch.empty(size)}
    read_tensors(folder, tensors)
    return tensors["w"].tolist()


def test_the_last_three_states_and_the_best_stay(tmp_path: Path) -> None:
    run = saved(tmp_path, range(1, 6))
    run.save_best({"w": torch.full((3,), 2.0)}, 2, 0.4)
    run.save({"w": torch.zeros(4)}, {"step": 6, "best_epoch": 2})
    assert [folder.name for folder in run.states()] == ["step-00000004", "step-00000005", "step-00000006"]
    assert sorted(folder.name for folder in tmp_path.glob("best-*")) == ["best-0001", "best-0002"]  # 4 and 5 need 1
    for step in (7, 8):
        run.save({"w": torch.zeros(4)}, {"step": step, "best_epoch": 2})
    assert [folder.name for folder in tmp_path.glob("best-*")] == ["best-0002"]


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_any_damage_is_noticed_and_the_state_before_is_taken(tmp_path: Path, file: str, damage: str) -> None:
    run = saved(tmp_path, range(1, 4))
    path = run.states()[-1] / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-20])
    with pytest.warns(UserWarning, match=r"step-00000003 is damaged: .*; going back to the state before it"):
        found = run.newest()
    assert found.numbers["step"] == 2
    assert read(found.folder, 4) == [2.0] * 4
    assert read(found.best, 3) == [1.0] * 3


def test_damaged_best_weights_cost_the_states_that_refer_to_them(tmp_path: Path) -> None:
    run = saved(tmp_path, range(1, 3))
    (tmp_path / "best-0001/state.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="best-0001 is damaged"):
        assert run.newest() is None
    assert not run.has_best(1)  # so that it is written again


def test_nothing_is_pickled(tmp_path: Path) -> None:
    saved(tmp_path, range(1, 3))
    assert {path.name for path in tmp_path.glob("*/*")} == {"state.safetensors", "state.json"}


def test_the_key_follows_settings_and_files() -> None:
    keys = {run_key({"seed": seed}, {"a.py": code}) for seed in (0, 1) for code in ("x", "y")}
    assert len(keys) == 4
    assert run_key({"a": 1, "b": 2}, {}) == run_key({"b": 2, "a": 1}, {})


def test_temporary_workspaces_of_dvc_share_the_repository_s_folder() -> None:
    shared = Path("/home/me/finscale/.dvc/tmp/training")
    assert scratch_folder({}, Path("/home/me/finscale")) == shared
    assert scratch_folder({}, Path("/home/me/finscale/.dvc/tmp/exps/tmp12ab")) == shared
    assert scratch_folder({"FINSCALE_SCRATCH": "/fast"}, Path("/home/me/finscale")) == Path("/fast")


def test_a_second_process_of_the_same_run_waits(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    with claim(tmp_path, "k"):
        child = os.fork()
        if child == 0:
            with claim(tmp_path, "k"):
                os._exit(7)
        time.sleep(0.3)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)  # still waiting
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert "another process trains this very run" in capfd.readouterr().out


DAY = 24 * 3600


def test_runs_that_nobody_came_back_for_are_removed(tmp_path: Path) -> None:
    for key in ("old", "new"):
        with claim(tmp_path, key) as folder:
            saved(folder, range(1, 2))
    month_ago = time.time() - 31 * 24 * 3600
    for path in (tmp_path / "old", tmp_path / "old.lock"):
        os.utime(path, (month_ago, month_ago))
    now = time.time()
    assert collect_orphans(tmp_path, now=now) == []  # it is marked as left
    assert collect_orphans(tmp_path, now=now + 6 * DAY) == []
    assert collect_orphans(tmp_path, now=now + 8 * DAY) == ["old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new.lock"]


def test_a_run_that_somebody_comes_back_for_stays_whatever_the_clock_says(tmp_path: Path) -> None:
    with claim(tmp_path, "mine") as folder:
        saved(folder, range(1, 2))
    now = time.time()
    assert collect_orphans(tmp_path, now=now + 400 * DAY) == []  # a clock that ran ahead marks all there is
    assert collect_orphans(tmp_path, now=now + 1 * DAY) == []  # put right, nothing is left
    assert collect_orphans(tmp_path, now=now + 500 * DAY) == []
    assert collect_orphans(tmp_path, ["mine"], now=now + 600 * DAY) == []  # its own start, after any time
    assert (tmp_path / "mine").is_dir()


def test_the_first_signal_is_noted_and_a_later_second_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_on_signals() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGINT)
        assert stop
        assert stop.signal == "SIGINT"
        os.kill(os.getpid(), signal.SIGINT)  # the same one, passed on by torchrun
        monkeypatch.setattr(interrupt, "_TWICE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
