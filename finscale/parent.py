"""A stage whose DVC has gone stops: nobody would record what it makes, and the next run would find it in its way.

DVC hands its stages no signal but a terminal's own. Told to end alone (`kill`, `dvc queue stop --kill`, a service that
is stopped), it leaves the stage running. So the stage looks at those who asked for it, and asks itself to stop.
"""

import os
import signal
import threading
import time

import psutil  # type: ignore[import-untyped]

PAUSE = 0.5  # seconds between two looks
_SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh")
_ASKING = ("dvc", "study.")  # in the command line of whoever asks for stages


def asking() -> list[psutil.Process]:
    """Whoever this process works for: its parent, where that is a shell the shell's, and all of DVC and study above."""
    above = psutil.Process().parents()
    if not above or (above[0].pid == 1 and not _asks(above[0])):
        return []
    direct = 1 + (_name(above[0]) in _SHELLS and len(above) > 1)
    return [one for at, one in enumerate(above) if at < direct or _asks(one)]


def stop_when_left(stage: str, pause: float = PAUSE) -> None:
    """From here on, send this process a SIGTERM once one of those who asked for it is gone."""
    known = asking()

    def watch() -> None:
        while known and all(_lives(one) for one in known):
            time.sleep(pause)
        print(f"{stage}: the process that ran this stage is gone; it stops", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _asks(process: psutil.Process) -> bool:
    try:
        return any(word in argument for argument in process.cmdline() for word in _ASKING)
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
