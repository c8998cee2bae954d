"""An external disk as DVC remote: there and back, and unplugged."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.conftest import Workspace


@pytest.fixture
def disk(clone: Workspace, tmp_path: Path) -> Path:
    """README's three lines."""
    folder = tmp_path / "SSD" / "finscale-dvc"
    folder.mkdir(parents=True)
    clone.run("ln", "-s", str(folder), ".dvc/ssd")
    clone.run("dvc", "remote", "add", "--local", "--default", "ssd", ".dvc/ssd")
    clone.run("dvc", "remote", "modify", "--local", "ssd", "verify", "true")
    return folder


def wipe(clone: Workspace) -> None:
    for folder in (".dvc/cache", "data", "models", "dvclive"):
        shutil.rmtree(clone.path / folder)


@pytest.mark.parametrize(("push", "pull"), [(["dvc", "push"], ["dvc", "pull"]), (None, None)], ids=["dvc", "make"])
def test_everything_comes_back(clone: Workspace, disk: Path, push: list[str] | None, pull: list[str] | None) -> None:
    before = clone.outputs()
    clone.run(*(push or ("python", "-m", "study.remote", "push")))
    wipe(clone)
    clone.run(*(pull or ("python", "-m", "study.remote", "pull")))
    assert clone.outputs() == before
    assert "up to date" in clone.run("dvc", "status")


def test_an_unplugged_disk_is_said_and_nothing_is_written_elsewhere(clone: Workspace, disk: Path) -> None:
    disk.rmdir()
    before = clone.outputs()
    for action in ("push", "pull"):
        told = clone.run("python", "-m", "study.remote", action, ok=False)
        assert told.startswith(f"error: remote ssd: {disk} is not there; mount the disk and try again")
    clone.run("dvc", "push", ok=False)  # by hand: DVC must not create the folder on the system disk
    assert not disk.exists()
    assert clone.outputs() == before
    disk.mkdir()
    clone.run("python", "-m", "study.remote", "push")
    assert any(disk.rglob("*"))


def test_without_a_remote_the_readme_is_named(clone: Workspace) -> None:
    assert "error: no DVC remote is set: README" in clone.run("python", "-m", "study.remote", "push", ok=False)
