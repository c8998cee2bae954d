"""A stage whose DVC has gone stops: nobody would record what it makes, and the next run would find it in its way.

DVC hands its stages no signal but a terminal's own. Told to end alone (`kill`, `dvc queue stop --kill`, a service that
is stopped), it leaves the stage running. So the stage looks at those who asked for it, and asks itself to stop.
"""

import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import PurePath

import psutil  # type: ignore[import-untyped]

PAUSE = 0.5  # seconds between two looks
_SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh")

Link = tuple[int, int]  # a process and its parent


def asking() -> list[Link]:
    """From this process up to the last that asked for its work: its parent, where that is a shell the shell's, and what
    of DVC and study stands above without a gap. Empty where there is nobody above but the first process."""
    above = psutil.Process().parents()
    if not above or (above[0].pid == 1 and not _asks(above[0])):
        return []
    last = 1 + (_name(above[0]) in _SHELLS and len(above) > 1)
    while last < len(above) and _asks(above[last]):
        last += 1
    pids = [os.getpid(), *(one.pid for one in above[:last])]
    return list(pairwise(pids))


def stop_when_left(stage: str, pause: float = PAUSE) -> None:
    """From here on, send this process a SIGTERM once one of those who asked for it is gone."""
    if known := asking():  # else a service, a container, nohup: nobody is there to be missed
        _stop_without(known, stage, pause)


def stop_with_stage(stage: str, pause: float = PAUSE) -> None:
    """In a process that a stage has started: as stop_when_left, once the stage itself is gone, however it ended.

    While the stage is there it is the stage that stops its processes, also when its DVC is gone.
    """
    _stop_without([(os.getpid(), os.getppid())], stage, pause)


def _stop_without(known: list[Link], stage: str, pause: float) -> None:
    def watch() -> None:
        while all(_parent(child) == parent for child, parent in known):
            time.sleep(pause)
        print(f"{stage}: the process that ran this stage is gone; it stops", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()


def _parent(process: int) -> int | None:
    """A child of a process that ends gets another parent: that tells it whatever the clock does and pids are reused."""
    if process == os.getpid():
        return os.getppid()
    try:
        return int(psutil.Process(process).ppid())
    except psutil.Error:
        return None


def _asks(process: psutil.Process) -> bool:
    """`dvc ...`, `python -m dvc ...`, `python -m study.<name>`; a shell that was given such a line asks for nothing."""
    try:
        return any(PurePath(word).name == "dvc" or word.startswith("study.") for word in process.cmdline())
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
