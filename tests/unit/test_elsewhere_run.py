"""How run.py works off a pack: side by side, stopped and gone on with, and with runs that fail."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from finscale.storage import write_json
from study.elsewhere import run as there
from study.elsewhere.rows import digests_of

# Two stages that take as long as they are told to, in a folder with the real run.py: how it runs them is tested.
_STAGE = """
import pathlib, signal, sys, time, yaml
told = yaml.safe_load(open("params.yaml"))
def stop(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("saved")
signal.signal(signal.SIGINT, stop), signal.signal(signal.SIGTERM, stop)
pathlib.Path("../../{name}s").open("a").write(told["name"] + chr(10))
if told["{name}"] == "fails":
    sys.exit("error: in its own words" + chr(10) + "and more")
time.sleep(told["{name}"])
pathlib.Path("models/model.json").write_text("1")
"""


def pack_of(folder: Path, *runs: dict[str, Any]) -> Path:
    (folder / "code/stages").mkdir(parents=True)
    (folder / "code/finscale").mkdir()
    (folder / "inputs/data/processed").mkdir(parents=True)
    for name in ("train", "predict"):
        (folder / f"code/stages/{name}.py").write_text(_STAGE.format(name=name))
    for told in runs:
        (folder / f"{told['name']}.yaml").write_text(yaml.safe_dump(told))
    shutil.copyfile(there.__file__, folder / "run.py")
    told = [{"name": run["name"], "params": f"{run['name']}.yaml", "inputs": "inputs"} for run in runs]
    write_json(folder / "pack.json", {"runs": told, "files": digests_of(folder)})
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "run.py", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def begun(folder: Path, stage: str, count: int) -> list[str]:
    """The runs that have come to a stage, once there are `count`."""
    path, ends = folder / f"{stage}s", time.monotonic() + 30
    while not path.exists() or len(path.read_text().split()) < count:
        assert time.monotonic() < ends
        time.sleep(0.02)
    return path.read_text().split()


def test_ctrl_c_stops_what_runs_side_by_side_and_is_no_failure(tmp_path: Path) -> None:
    folder = pack_of(tmp_path / "a folder of ü", *({"name": name, "train": 60, "predict": 0} for name in "ab"))
    running = start(folder, "--jobs", "2")
    assert sorted(begun(folder, "train", 2)) == ["a", "b"]
    second = start(folder)
    assert "another run.py works in" in second.communicate(timeout=30)[0]
    assert second.returncode == 1
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all of its group
    assert running.communicate(timeout=30)[0] == "run: 0 of 2 runs are complete in results/\n"
    assert running.returncode == 0
    assert [(folder / f"work/{name}/train.log").read_text() for name in "ab"] == ["saved\n", "saved\n"]


def test_what_is_stopped_while_it_predicts_does_not_train_again(tmp_path: Path) -> None:
    folder = pack_of(tmp_path / "pack", {"name": "a", "train": 0, "predict": 60})
    running = start(folder)
    begun(folder, "predict", 1)
    running.terminate()
    assert "0 of 1 runs are complete" in running.communicate(timeout=30)[0]
    running = start(folder)
    begun(folder, "predict", 2)
    running.terminate()
    running.communicate(timeout=30)
    assert begun(folder, "train", 1) == ["a"]


def test_a_run_that_fails_is_told_in_its_own_words_and_holds_up_no_other(tmp_path: Path) -> None:
    folder = pack_of(tmp_path / "pack", *({"name": name, "train": 0, "predict": 0} for name in "bc"),
                     {"name": "a", "train": "fails", "predict": 0})  # fmt: skip
    (folder / "results").mkdir()
    (folder / "results/.tmp-b").touch()  # as a disk that takes no result
    told = start(folder).communicate(timeout=60)[0]
    assert "run: a: failed: in its own words; work/a has the logs" in told
    assert "run: b: failed: " in told
    assert "1 of 3 runs are complete in results/, 2 failed" in told


@pytest.mark.parametrize("arguments", [("--jobs", "0"), ("--seconds", "nan"), ("--seconds", "-1")])
def test_numbers_that_mean_nothing_are_refused(arguments: tuple[str, str], tmp_path: Path) -> None:
    running = start(pack_of(tmp_path / "pack"), *arguments)
    assert "at least" in running.communicate(timeout=30)[0]
    assert running.returncode == 2
