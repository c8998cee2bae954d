"""A backup whose files are damaged or lost is made whole again, file by file, and nothing in it is lost on the way."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from finscale.errors import InputError
from study import backup
from study.pinned import cache_folder


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a folder of two files and a file of its own, all of it in a backup."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINSCALE_STORE", str(tmp_path / "store"))
    cache_folder.cache_clear()
    (tmp_path / "raw").mkdir()
    for name in ("raw/SPY", "raw/QQQ", "model"):
        (tmp_path / name).write_text(f"the content of {name}")
    disk = tmp_path / "disk"
    disk.mkdir()
    with Repo.init(no_scm=True) as repo:
        repo.add(["raw", "model"])
        with repo.config.edit("local") as config:
            config["core"]["remote"] = "ssd"
            config["remote"] = {"ssd": {"url": str(disk)}}
    backup.mend(disk)
    backup.verify(disk)
    return disk


def kept(disk: Path, name: str) -> backup.Kept:
    return next(one for one in backup.objects(disk) if one.name == name)


@pytest.mark.parametrize("name", ["raw/SPY", "raw", "model"], ids=["in a folder", "listing", "file"])
@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_what_is_damaged_or_gone_is_sent_again(how: str, name: str, disk: Path) -> None:
    there = kept(disk, name).in_backup(disk)
    whole = there.read_bytes()
    there.chmod(0o644)
    if how == "gone":
        there.unlink()
    else:
        there.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(InputError, match=rf"1 files of the backup are not whole(.|\n)*{name}: (missing|damaged)"):
        backup.verify(disk)
    backup.mend(disk)
    backup.verify(disk)
    assert there.read_bytes() == whole


def test_a_damaged_copy_stays_until_a_whole_one_stands_beside_it(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = kept(disk, "raw/SPY")
    there = one.in_backup(disk)
    there.chmod(0o644)
    there.write_text("the content of raw/SPX")
    shutil.rmtree(cache_folder())
    one.workspace.write_text("something new")  # nothing whole of it is left on this machine
    backup.mend(disk)
    assert there.read_text() == "the content of raw/SPX"
    assert "no whole copy of raw/SPY on this machine; what the backup has of it stays" in capsys.readouterr().out
    with pytest.raises(InputError, match="raw/SPY: damaged"):
        backup.verify(disk)
    one.workspace.write_text("the content of raw/SPY")  # the workspace's copy serves as well as the cache's
    backup.mend(disk)
    backup.verify(disk)
