"""Faults of the machine are told in words with a remedy, cost nothing that was there, and tell no secret."""

import ast
import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from finscale.data.rows import shared_rows
from finscale.errors import InputError
from finscale.evaluation.day_file import write_day_file
from finscale.faults import in_words, without_secrets
from finscale.storage import (
    read_csv,
    read_json,
    read_parquet,
    read_tensors,
    write_arrow,
    write_atomically,
    write_csv,
    write_json,
    write_parquet,
    write_text,
)
from finscale.training.resume import SavedRun
from tests.small_disks import small_disk

ROOT = Path(__file__).parents[2]
BIG = pd.DataFrame({"value": np.random.default_rng(0).normal(size=100_000)})
DAYS = pd.DataFrame({"date": pd.date_range("1800-01-01", periods=70_000), "rows": 1, "model": BIG["value"][:70_000]})
WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, 500_000 * "x"),
    "json": lambda path: write_json(path, list(range(100_000))),
    "csv": lambda path: write_csv(path, BIG),
    "parquet": lambda path: write_parquet(path, BIG),
    "arrow": lambda path: write_arrow(path, BIG),
    "days": lambda path: write_day_file(path, DAYS),
    "tensors": lambda path: write_atomically(path, lambda one: save_file({"w": torch.zeros(100_000)}, one)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_told_by_every_writer_and_the_earlier_file_stays(kind: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100) as disk:
        path = disk / f"result.{kind}"
        path.write_text("earlier")
        with pytest.raises(InputError, match=rf"result\.{kind}: no space left on the disk .* MiB free in .*untouched"):
            WRITERS[kind](path)
        assert path.read_text() == "earlier"
        assert list(disk.iterdir()) == [path]


def test_the_rows_that_trainings_share_find_no_room(tmp_path: Path) -> None:
    days = pd.bdate_range("1980-01-01", periods=5_000)
    keys = {"date": days, "asset": "X", "split": "train", "label": 1.0, "exit": days, "last_known": 1.0}
    development = pd.DataFrame(keys | {f"f{i}": BIG["value"][:5_000] + i for i in range(9)})
    development.to_parquet(tmp_path / "development.parquet", index=False)
    with small_disk(tmp_path / "disk", 100) as disk:
        with (
            pytest.raises(InputError, match=r"\.float32: no space left on the disk"),
            shared_rows(tmp_path / "development.parquet", disk),
        ):
            pass
        assert [path.name for path in (disk / "rows").iterdir()] == ["lock"]
    with shared_rows(tmp_path / "development.parquet", tmp_path) as held:
        expected = development[held.features].to_numpy(np.float32)
        assert np.array_equal(held.matrix.numpy(), expected, equal_nan=True)


def test_a_state_that_finds_no_room_leaves_those_before_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        run = SavedRun(disk / "key", keep=3)
        first = run.save({"w": torch.zeros(10_000)}, {"step": 1, "best_epoch": 0})
        with pytest.raises(InputError, match="step-00000002: no space left on the disk"):
            run.save({"w": torch.zeros(100_000)}, {"step": 2, "best_epoch": 0})
        assert list((disk / "key").iterdir()) == [first]
        found = run.newest()
        assert found is not None
        assert found.numbers["step"] == 1


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (read_json, b'{"a": 1', "no JSON"),
        (read_parquet, b"PAR1 cut", "no parquet file can be read there"),
        (read_tensors, b"\x10\x00", "no safetensors file can be read there"),
        (lambda path: read_csv(path, [], ["date"]), b"", "no table can be read there"),
        (lambda path: read_csv(path, [], []), b"a,b\n1,2,3,4\n5\n1,2,3,4,5,6\n", "no table can be read there"),
    ],
    ids=["json", "parquet", "safetensors", "empty csv", "uneven csv"],
)
def test_a_damaged_file_is_named_with_the_way_out(
    read: Callable[[Path], object], content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path}.*{said}.*git checkout"):
        read(path)


def test_what_other_languages_say_is_understood_and_a_defect_stays_one() -> None:
    assert "no space left" in (in_words(RuntimeError("I/O error: No space left on device (os error 28)")) or "")
    assert "no memory" in (in_words(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")) or "")
    assert "mounted read-only" in (in_words(OSError(errno.EROFS, "Read-only", "/mnt/a")) or "")
    assert in_words(FileNotFoundError(errno.ENOENT, "No such file", "dvc")) is not None
    assert in_words(FileNotFoundError(errno.ENOENT, "No such file", "models/x")) is None
    assert in_words(RuntimeError("shapes do not match")) is None


def test_no_message_holds_a_secret() -> None:
    environment = {"FRED_API_KEY": "abcdef", "WANDB_API_KEY": ""}
    told = without_secrets("postgresql://me:hunter2@host/x?k=1 and abcdef at https://host/y", environment)
    assert told == "postgresql://host/x?k=1 and $FRED_API_KEY at https://host/y"


@pytest.mark.parametrize("name", ["study.collect", "study.show"])
def test_git_s_own_words_are_told_where_there_is_no_repository(name: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    command = [sys.executable, "-m", name]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "says: fatal: not a git repository" in done.stderr.splitlines()[-1]


def test_every_text_file_is_read_and_written_in_utf_8_whatever_the_locale() -> None:
    """Each call names its encoding: none is left to the machine."""
    modules = [path for folder in ("finscale", "stages", "study") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(modules) > 100
    calls = [(path, node) for path in modules for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    unnamed = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, node in calls
        if isinstance(node, ast.Call) and _opens_text(node) and not any(one.arg == "encoding" for one in node.keywords)
    ]
    assert unnamed == []


def _opens_text(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id == "open"
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name != "open" or ast.unparse(call.func).startswith(("os.", "tarfile.", "dvc.api.", "webbrowser.", "Image.")):
        return name in ("read_text", "write_text")
    modes = [one.value for one in call.args if isinstance(one, ast.Constant)]
    return "b" not in str(modes[-1] if modes else "r")
