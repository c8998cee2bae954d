"""An external disk as DVC remote: there and back, and unplugged."""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from finscale.sources.store import RawStore
from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.xdist_group("finished")


@pytest.fixture
def disk(clone: Workspace, tmp_path: Path) -> Path:
    """The three lines of docs/disk.md."""
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
    assert clone.run("dvc", "status").split() == ["configure:", "always", "changed"]


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


def test_without_a_remote_the_page_that_sets_one_up_is_named(clone: Workspace) -> None:
    assert "error: no DVC remote is set: docs/disk.md" in clone.run("python", "-m", "study.remote", "push", ok=False)


def test_a_backup_is_read_back_and_its_damage_named(clone: Workspace, disk: Path, tmp_path: Path) -> None:
    raw_store = RawStore(tmp_path / "store")
    days = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=10), "value": range(10)})
    raw_store.whole("fred", "DGS10", date(2020, 1, 1), date(2020, 1, 10), lambda first, last: days)
    backup = ("env", f"FINSCALE_STORE={raw_store.root}", "python", "-m", "study.backup")
    assert "1 of the raw store, all read back and whole" in clone.run(*backup)
    assert "all read back and whole" in clone.run(*backup)  # again: nothing to do

    next((disk / "raw-store/fred/DGS10").glob("2020-01-01_2020-01-10-*.parquet")).write_bytes(b"rot")
    md5 = next(o["md5"] for o in yaml.safe_load(clone.read("dvc.lock"))["stages"]["train"]["outs"])
    model = disk / "files" / "md5" / md5[:2] / md5[2:]
    whole = model.read_bytes()
    model.chmod(0o644)
    model.write_bytes(whole[:-1])
    labels = next(o["md5"] for o in yaml.safe_load(clone.read("dvc.lock"))["stages"]["label"]["outs"])
    (disk / "files" / "md5" / labels[:2] / labels[2:]).unlink()
    told = clone.run(*backup, "verify", ok=False)
    assert "error: 3 files of the backup are not whole" in told
    assert "dvclive: damaged (" in told
    assert "data/processed/labels.parquet: missing" in told
    assert ".parquet: changed since it was retrieved" in told

    assert "all read back and whole" in clone.run(*backup)  # sends again what is missing or damaged
    assert model.read_bytes() == whole
