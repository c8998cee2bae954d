"""The stage `features` computes several assets at a time, in processes of its own, and none of them outlives it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from finscale.storage import sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(bars: pd.DataFrame, tmp_path: Path) -> Path:
    """Six assets of twenty years, which take a while."""
    (tmp_path / "data/interim").mkdir(parents=True)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    daily = [bars.reset_index().assign(asset=name) for name in "ABCDEF"]
    pd.concat(daily, ignore_index=True).to_parquet(tmp_path / "data/interim/daily.parquet", index=False)
    pd.DataFrame({"date": bars.index}).to_parquet(tmp_path / "data/interim/series.parquet", index=False)
    return tmp_path


def started(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """The stage and its processes, once the first asset is done."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.features"], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=log, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    while not list(folder.glob("data/interim/.tmp-*-parts/*.arrow")):
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.01)
    own = psutil.Process(process.pid).children()
    return process, [one for one in own if "spawn_main" in " ".join(one.cmdline())]


def test_the_processes_of_a_killed_stage_end_with_it_and_what_they_wrote_is_swept(folder: Path) -> None:
    process, workers = started(folder)
    assert len(workers) == 2
    process.kill()
    process.wait(60)
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert list(folder.glob("data/interim/.tmp-*"))
    sweep(folder / "data/interim")  # as the next start does
    assert sorted(path.name for path in (folder / "data/interim").iterdir()) == ["daily.parquet", "series.parquet"]


def test_a_process_that_the_system_kills_is_told_in_one_line(folder: Path) -> None:
    process, workers = started(folder)
    workers[0].send_signal(signal.SIGKILL)
    assert process.wait(60) == 1
    told = (folder / "log").read_text()
    assert "error: one of the processes of this stage was killed" in told
    assert "Traceback" not in told
    assert sorted(path.name for path in (folder / "data/interim").iterdir()) == ["daily.parquet", "series.parquet"]
