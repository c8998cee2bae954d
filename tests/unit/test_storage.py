"""Files: written whole or not at all, read back as they were, missed with a remedy."""

from pathlib import Path

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.storage import read_json, read_parquet, write_atomically, write_json, write_parquet


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half a resu")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_number_that_is_none_never_reaches_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "metrics.json", {"loss": float("nan")})
    assert not (tmp_path / "metrics.json").exists()


def test_tables_come_back_as_they_were(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": pd.to_datetime(["2018-01-02"]), "close": [1 / 3]})
    write_parquet(tmp_path / "deep" / "frame.parquet", frame)
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "deep" / "frame.parquet"), frame)


@pytest.mark.parametrize("read", [read_json, read_parquet])
def test_an_absent_file_is_named_with_its_remedy(read: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.here: no such file; `dvc repro` makes it"):
        read(tmp_path / "nothing.here")  # type: ignore[operator]
