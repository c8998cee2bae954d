"""Several processes for one run: the stage starts itself again under torchrun where $FINSCALE_PROCESSES says how many.

Nothing in params.yaml changes: how many processes shared a model decides its last bits, not what was asked for.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

import torch

from finscale.errors import InputError

VARIABLE = "FINSCALE_PROCESSES"
_SHUTDOWN_SECONDS = 600  # a stopped run of billions of parameters saves its state first


def processes_asked(environment: Mapping[str, str]) -> int:
    """How many processes are to be started; 1 where this is one of torchrun's already. Raises InputError."""
    asked = environment.get(VARIABLE) or "1"
    if "RANK" in environment:
        return 1
    if not asked.isdecimal() or not int(asked):
        raise InputError(f"{VARIABLE} = {asked}: a number of processes from 1 on; unset it for one")
    devices = torch.cuda.device_count()
    if 0 < devices < int(asked):
        raise InputError(f"{VARIABLE} = {asked}, and this machine has {devices} GPUs: a process needs one of its own")
    return int(asked)


def run_in_processes(count: int, module: str) -> None:
    """Run `python -m module` in `count` processes and wait for them; signals are passed on, so that a run is saved.

    Exits with torchrun's status where it is not 0.
    """
    # Not DVC's stage: what a failure costs is put back once, by this process (finscale.outputs).
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
        "--shutdown-timeout", str(_SHUTDOWN_SECONDS), "-m", module,
    ]  # fmt: skip
    # A session of its own: a terminal's Ctrl-C reaches it once, through this process.
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    before = {
        number: signal.signal(number, lambda number, _: child.send_signal(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status:
        sys.exit(1)
