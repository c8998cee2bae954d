"""Whatever ends a stage before its time, its earlier outputs are there afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

DVC = str(Path(sys.executable).parent / "dvc")
ROOT = Path(__file__).parents[2]

# A stage with an output of every kind. It writes half of them before it ends as `how` says.
STAGE = """
import errno
import os
import resource
import time
from pathlib import Path

import torch

from finscale.cli import run
from finscale.errors import InputError
from finscale.storage import write_atomically, write_text

def wait() -> None:
    Path(".waiting").write_text(str(os.getpid()))
    Path(".waiting").rename("waiting")
    time.sleep(60)

def half(temporary: Path) -> None:
    temporary.write_text("half a resu")
    wait()

def main() -> None:
    how = Path("how").read_text()
    Path("folder").mkdir()
    Path("cached").write_text(how)
    Path("folder/one").write_text(how)
    if how == "error":
        raise InputError("that cannot be")
    if how == "full":
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
        try:
            write_text(Path("written"), 9001 * "x")
        finally:  # room again for DVC's own files
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if how == "forbidden":
        raise PermissionError(errno.EACCES, "Permission denied", "/proc/1/mem")
    if how == "memory":
        torch.empty(2**50)
    if how == "defect":
        raise ZeroDivisionError
    if how == "wait":
        wait()
    if how == "write":
        write_atomically(Path("folder/two"), half)
    if how == "slowly":
        time.sleep(4)
    Path("in_git").mkdir()
    Path("in_git/two").write_text(how)
    Path("in_git.md").write_text(how)

if __name__ == "__main__":
    run(main)
"""
PIPELINE = {
    "stages": {
        "made": {
            "cmd": f"{sys.executable} -m stages.made",
            "deps": ["how"],
            "outs": ["cached", "folder", {"in_git": {"cache": False}}, {"in_git.md": {"cache": False}}],
        }
    }
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose one stage has succeeded, with results that git does not hold yet."""
    folder = tmp_path_factory.mktemp("outputs") / "made"
    (folder / "stages").mkdir(parents=True)
    (folder / "stages/__init__.py").touch()
    (folder / "stages/made.py").write_text(STAGE)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (folder / "how").write_text("well")
    shutil.copyfile(ROOT / ".dvcignore", folder / ".dvcignore")
    for command in (["git", "init", "-q"], [DVC, "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True)
    assert reproduce(folder).wait(60) == 0
    return folder


@pytest.fixture
def again(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "again", symlinks=True)
    return tmp_path / "again"


def reproduce(folder: Path) -> subprocess.Popen[str]:
    """`dvc repro`, with its output in `<folder>.log`."""
    with folder.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            [DVC, "repro"], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip


def interrupted(folder: Path, how: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """DVC and its stage, which waits in the middle of its work."""
    (folder / "how").write_text(how)
    process = reproduce(folder)
    while not (folder / "waiting").exists():
        assert process.poll() is None, folder.with_suffix(".log").read_text()
        time.sleep(0.02)
    return process, psutil.Process(int((folder / "waiting").read_text()))


def check_nothing_is_lost(folder: Path, made: str = "well") -> None:
    """The outputs of the last success are there, and nothing beside them."""
    for path in ("cached", "folder/one", "in_git/two", "in_git.md"):
        assert (folder / path).read_text() == made, folder.with_suffix(".log").read_text()
    assert [len(list((folder / name).iterdir())) for name in ("folder", "in_git")] == [1, 1]
    assert not list(folder.rglob(".tmp-*"))


@pytest.mark.parametrize(("how", "message"), [("error", "error: that cannot be"), ("defect", "ZeroDivisionError")])
def test_a_stage_that_fails_puts_its_earlier_outputs_back(how: str, message: str, again: Path) -> None:
    (again / "how").write_text(how)
    assert reproduce(again).wait(60) != 0
    assert message in again.with_suffix(".log").read_text()
    check_nothing_is_lost(again)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_that_is_stopped_puts_its_earlier_outputs_back(number: signal.Signals, again: Path) -> None:
    process, stage = interrupted(again, "wait")
    if number == signal.SIGINT:  # as from a terminal, to all processes
        os.killpg(process.pid, number)
    else:  # `kill` of the stage's own process
        stage.send_signal(number)
    assert process.wait(60) != 0
    check_nothing_is_lost(again)


@pytest.mark.parametrize(("number", "how"), [(signal.SIGTERM, "wait"), (signal.SIGKILL, "write")])
def test_a_stage_whose_dvc_is_gone_stops_by_itself_and_leaves_nothing_half_written(
    number: signal.Signals, how: str, again: Path
) -> None:
    process, stage = interrupted(again, how)
    process.send_signal(number)  # DVC alone
    process.wait(60)
    assert psutil.wait_procs([stage], timeout=30)[1] == []
    assert "made: the process that ran this stage is gone; it stops" in again.with_suffix(".log").read_text()
    check_nothing_is_lost(again)


def test_what_a_left_stage_puts_back_is_not_put_over_a_run_that_was_begun_meanwhile(again: Path) -> None:
    """DVC is killed and asked again at once, while the stage of the first still looks for its parent."""
    process, stage = interrupted(again, "wait")
    process.kill()
    process.wait(60)
    (again / "how").write_text("slowly")
    second = reproduce(again)
    assert psutil.wait_procs([stage], timeout=30)[1] == []
    assert second.wait(60) == 0, again.with_suffix(".log").read_text()
    check_nothing_is_lost(again, "slowly")
    status = subprocess.run([DVC, "status"], cwd=again, capture_output=True, text=True, check=True).stdout
    assert "up to date" in status


def test_what_a_killed_stage_had_half_written_enters_no_hash(again: Path) -> None:
    before = (again / "dvc.lock").read_text()
    for place in (".tmp-999999999-one", "folder/.tmp-999999999-one", "in_git/.tmp-999999999-two"):
        (again / place).write_text("half a resu")
    (again / ".tmp-999999999-one-parts").mkdir()
    (again / ".tmp-999999999-one-parts/A.arrow").write_text("a part")
    status = subprocess.run([DVC, "status"], cwd=again, capture_output=True, text=True, check=True).stdout
    assert "up to date" in status
    subprocess.run([DVC, "commit", "-f"], cwd=again, capture_output=True, check=True)
    assert yaml.safe_load((again / "dvc.lock").read_text()) == yaml.safe_load(before)
    (again / "how").write_text("better")
    assert reproduce(again).wait(60) == 0
    assert not list(again.rglob(".tmp-9*"))  # swept by the next start


@pytest.mark.parametrize("how", ["full", "forbidden", "memory"])
def test_a_fault_of_the_machine_is_one_line_with_file_and_remedy(how: str, again: Path) -> None:
    (again / "how").write_text(how)
    assert reproduce(again).wait(60) != 0
    told = again.with_suffix(".log").read_text()
    said = {"full": "written: the file would be larger", "forbidden": "permission denied", "memory": "no memory: "}[how]
    assert "error: " in told
    assert said in told
    assert "Traceback" not in told
    check_nothing_is_lost(again)


def test_results_of_another_commit_come_from_git(again: Path) -> None:
    """The copy of the last success is of another content than dvc.lock names: git's is taken."""
    for command in (["config", "user.email", "tests@localhost"], ["config", "user.name", "tests"], ["add", "-A"],
                    ["commit", "-qm", "results"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=again, check=True)
    (again / ".dvc/tmp/outputs/in_git.md").write_text("of another commit")
    (again / "how").write_text("error")
    assert reproduce(again).wait(60) != 0
    check_nothing_is_lost(again)
