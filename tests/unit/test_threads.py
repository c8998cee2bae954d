"""Threads that wait do not spin, unless the user asks for it: said before anything that has threads is loaded."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("own", "waits"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_asleep_unless_the_user_says_otherwise(own: str | None, waits: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": own} if own else {}
    code = "import sys, finscale, os; print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", waits]


def test_what_loads_torch_is_told_before(pytestconfig: pytest.Config) -> None:
    """OpenMP reads the policy when it is loaded: it shows what it took where OMP_DISPLAY_ENV asks for it."""
    code = "import finscale.training.device"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "TRUE"}
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=pytestconfig.rootpath,
    )
    shown = [line for line in said.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    assert shown
    assert all("PASSIVE" in line for line in shown)
