"""What a source will read on this machine: by content, wherever it lies."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from finscale.sources import inputs
from finscale.sources.config import DataConfig
from finscale.sources.inputs import HashMemo, inputs_of
from finscale.sources.store import RawStore
from finscale.sources.universes import members
from tests.conftest import ENDS

CONFIG = {"start": date(1999, 1, 1), "end": ENDS.test_end}


def read(folder: Path, memo: Path, assets: str = "A", source: str = "directory") -> dict:
    config = DataConfig(**CONFIG, directory=str(folder))
    hashes = HashMemo(memo)
    found = inputs_of(source, members(source, assets, "a", config), "a", config, hashes)  # type: ignore[arg-type]
    hashes.save()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine/ohlcv").mkdir(parents=True)
    for name in ("SPY", "DIA"):
        (tmp_path / f"mine/ohlcv/{name}.csv").write_text(f"date,close\n2001-01-01,{len(name)}\n")
    return tmp_path / "mine"


def test_the_files_of_the_data_set_are_told_by_content_and_not_by_place(folder: Path, tmp_path: Path) -> None:
    here = read(folder, tmp_path / "memo.json")
    assert list(here["files"]) == ["ohlcv/SPY.csv"]
    assert list(read(folder, tmp_path / "memo.json", "B")["files"]) == ["ohlcv/DIA.csv", "ohlcv/SPY.csv"]
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert read(tmp_path / "elsewhere", tmp_path / "memo.json") == here
    assert str(tmp_path) not in str(here)


def test_a_mended_an_added_and_a_deleted_file_are_seen(folder: Path, tmp_path: Path) -> None:
    memo, path = tmp_path / "memo.json", folder / "ohlcv/SPY.csv"
    found = [read(folder, memo)]
    path.write_text("date,close\n2001-01-01,4\n")  # of the same length
    found.append(read(folder, memo))
    (folder / "ohlcv/SPY.parquet").touch()  # ambiguous: `download` has to say so
    found.append(read(folder, memo))
    path.unlink()
    found.append(read(folder, memo))
    shutil.rmtree(folder)
    found.append(read(folder, memo))
    assert found[-1] == {"files": None}
    assert all(one != other for i, one in enumerate(found) for other in found[:i])


def test_a_file_that_has_not_changed_is_not_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(folder, tmp_path / "memo.json")
    monkeypatch.setattr(inputs, "md5_of", lambda path: pytest.fail(f"{path} is read"))
    assert read(folder, tmp_path / "memo.json") == before


def test_stored_answers_are_inputs_of_live(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: object
) -> None:
    monkeypatch.setenv("FINSCALE_STORE", str(tmp_path / "store"))
    assert read(folder, tmp_path / "memo.json", source="live") == {"answers": {}, "files": {}}
    store = RawStore(tmp_path / "store")
    for series in ("SPY", "MSFT"):
        store.segments("yahoo", series, date(1999, 1, 1), date(2018, 12, 31), lambda first, last: raw)  # type: ignore[arg-type,return-value]
    found = read(folder, tmp_path / "memo.json", source="live")
    (answer,) = found["answers"]
    assert re.fullmatch(r"yahoo/SPY/1999-01-01_2018-12-31-[0-9a-f]{8}\.parquet", answer)
    (tmp_path / "store" / answer).unlink()
    assert read(folder, tmp_path / "memo.json", source="live") != found
