"""Files: written whole or not at all, read back as they were, missed with a remedy."""

from pathlib import Path

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.storage import (
    join_arrow,
    read_json,
    read_parquet,
    write_arrow,
    write_atomically,
    write_json,
    write_parquet,
)


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


def test_tables_of_several_processes_are_joined_as_if_one_had_written_them(tmp_path: Path) -> None:
    frames = [
        pd.DataFrame({"date": pd.to_datetime(["2018-01-02", "2018-01-03"]), "asset": asset, "x": [1 / 3, gap], "n": 7})
        for asset, gap in (("A", 0.0), ("B", float("nan")))
    ]
    for number, frame in enumerate(frames):
        write_arrow(tmp_path / f"{number}.arrow", frame)
    join_arrow(tmp_path / "joined.parquet", (tmp_path / f"{number}.arrow" for number in range(2)))
    write_parquet(tmp_path / "whole.parquet", pd.concat(frames, ignore_index=True))
    joined, whole = read_parquet(tmp_path / "joined.parquet"), read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)
    pd.testing.assert_frame_equal(joined, pd.concat(frames, ignore_index=True), check_exact=True)


@pytest.mark.parametrize("read", [read_json, read_parquet])
def test_an_absent_file_is_named_with_its_remedy(read: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.here: no such file; `dvc repro` makes it"):
        read(tmp_path / "nothing.here")  # type: ignore[operator]
