"""The device's bench: what comes first tells most, times are those of whole blocks, and any part of it is a table."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from finscale.training.products import processor
from tests.bench.device import markdown, row, tasks
from tests.bench.device_worker import CONTESTANTS, Blocks
from tests.gpu.run import ROOT
from tests.gpu.table import with_section

MACHINE = {"device": "A GPU", "cores": 2, "processor": processor(), "torch": torch.__version__}


def test_the_settings_that_were_asked_for_come_in_order_of_what_they_tell() -> None:
    planned = tasks(quick=False, device="cuda")
    assert planned[0].name == "matmul"  # every share is one of this
    assert {(one.setting.budget, one.name) for one in planned[1:13]} == {
        (budget, name) for budget in ("100K", "2M", "20M", "200M") for name in ("transformers", "eager", "graphs")
    }
    asked = {(one.setting.budget, one.setting.channels, one.setting.batch) for one in planned}
    assert asked >= {(b, c, n) for b in ("100K", "2M", "20M", "200M") for c in (20, 50) for n in (32, 256)}
    assert ("2B", 20, 32) in asked
    assert {one.name for one in planned} == set(CONTESTANTS)
    assert len(planned) == len(set(planned))


def test_a_loop_is_timed_in_blocks_after_its_warm_up() -> None:
    blocks, steps = Blocks(torch.device("cpu"), seconds=0.1), 0
    while blocks.begin():
        time.sleep(0.1 if steps < 4 else 0.004)  # building kernels does not count
        steps += 1
        blocks.end()
    assert len(blocks.per_step) >= 3
    assert all(0.004 <= seconds < 0.05 for seconds in blocks.per_step)


def test_a_row_tells_speed_ratio_and_share() -> None:
    rows: list[dict] = []
    for name, seconds in (("transformers", 8e-3), ("graphs", 1e-3)):
        planned = next(one for one in tasks(quick=False, device="cuda") if one.name == name)
        told = {"seconds": seconds, "fastest": seconds, "slowest": seconds, "took": 1.0, "passes": 1, "peak_gib": 0.5}
        rows.append(row(planned, told, rows, peak=1e15))
    assert rows[1]["times_transformers"] == pytest.approx(8)
    assert rows[1]["windows_per_second"] == pytest.approx(32_000)
    assert rows[1]["share_of_peak"] == pytest.approx(planned.setting.flops_per_step() / 1e-3 / 1e15)
    shown = markdown({"machine": MACHINE, "rows": rows, "without": {"graphs, 2B": "not done after 40 s"}})
    assert "| 100K     | 20         | 32      | graphs       | 32,000 " in shown
    assert "- without result: graphs, 2B: not done after 40 s" in shown


def test_a_device_s_section_is_added_once_and_then_replaced() -> None:
    page = with_section(with_section("# Page\ntext\n", "A", "one"), "B", "two")
    again = with_section(page, "A", "three")
    assert again == "# Page\ntext\n\n## Measured: A\nthree\n\n## Measured: B\ntwo\n"


@pytest.mark.slow
def test_the_whole_bench_in_small_writes_what_it_measured(tmp_path: Path) -> None:
    command = ["-m", "tests.bench.engine", "--device", "cpu", "--quick", "--seconds", "100", "--out", str(tmp_path)]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, timeout=150)
    result = json.loads((tmp_path / "bench.json").read_text())
    assert [one["model"] for one in result["rows"]] == ["matmul", "transformers", "eager", "eager"]
    assert result["machine"]["processor"] == processor()
    assert (tmp_path / "bench.md").read_text() == markdown(result)
