"""The driver: every step ends in time with all its children, and what was written until then is told."""

import subprocess
import sys
import time
from pathlib import Path

from tests.gpu.run import ROOT, Step, read_tests, run, summary, write

_LOG = """\
tests/gpu/test_model.py::test_a[cpu-pooling=flatten] PASSED [ 10%]
tests/gpu/test_model.py::test_a[cuda-pooling=last] FAILED [ 20%]
tests/gpu/test_model.py::test_b[cuda] SKIPPED (needs CUDA, which this machine lacks) [ 30%]
tests/gpu/test_model.py::test_c[cuda]
"""


def test_a_step_is_ended_at_its_limit_with_its_children(tmp_path: Path) -> None:
    child = f"import pathlib, time; time.sleep(2.5); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    parent = f"import subprocess, sys; print('begun', flush=True); subprocess.run([sys.executable, '-c', {child!r}])"
    slow = Step("slow", [sys.executable, "-c", parent], limit=1.5, cwd=tmp_path)
    run(slow, tmp_path)
    assert slow.outcome == "ended after its limit of 2 s"
    assert slow.told == "begun"
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_a_step_that_fails_is_told_with_its_last_lines(tmp_path: Path) -> None:
    steps = [
        Step("good", [sys.executable, "-c", "print('done')"], 20),
        Step("bad", [sys.executable, "-c", "raise ValueError('why')"], 20),
        Step("later", [], 20),
    ]
    for step in steps[:2]:
        run(step, tmp_path)
    write(steps, tmp_path)
    told = (tmp_path / "summary.md").read_text()
    assert "| good | ok |" in told
    assert "| bad | failed (1) |" in told
    assert "ValueError: why" in told
    assert "| later | not run | 0 |" in told


def test_tests_that_ran_are_counted_also_where_pytest_was_ended() -> None:
    step = Step("tests", [], 1)
    read_tests(step, _LOG + "E   AssertionError: assert 2 < 1\n")
    assert step.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert "tests/gpu/test_model.py::test_a[cuda-pooling=last]" in step.told
    assert "AssertionError: assert 2 < 1" in summary([step])


def test_a_folder_that_is_no_pack_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.run", str(tmp_path / "out"), "--pack", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"gpu: {tmp_path}: no run.py there; `python -m study.elsewhere pack` makes such a folder\n"
