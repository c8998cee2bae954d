"""SIGKILL at random moments over all stages, half of them inside a write; then `dvc repro` again: the same bytes?

A moment inside a write is one of the stage's own calls that open a file to write or rename one: an audit hook of
Python, loaded in the stage's process alone, sends the signal at the n-th of them. The other moments are of the clock.
Half of the kills take the stage, half DVC with it, as a power cut does.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.trial import Trial, contents, environment, last_words, outs_of, stages_of
from tests.pipeline.conftest import Workspace

# In a folder of PYTHONPATH: every Python of the command runs it, and only the stage's does anything.
HOOK = """
import atexit, os, signal, sys

if "FAULT_STAGE" in os.environ and os.environ.get("DVC_STAGE") == os.environ["FAULT_STAGE"]:
    seen = 0

    def hook(event, args):
        global seen
        writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
        if (writes or event == "os.rename") and not str(args[0]).startswith(("/dev", "/proc")):
            seen += 1
            if seen == int(os.environ["FAULT_AT"]):
                if os.environ["FAULT_WHOM"] == "all":
                    os.killpg(os.getpgrp(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)

    @atexit.register
    def tell():
        with open(os.environ["FAULT_SEEN"], "w") as file:
            file.write(str(seen))

    sys.addaudithook(hook)
"""


_DRAWS = 20  # of a moment, for one kill


@dataclass(frozen=True)
class Measured:
    """What a stage does undisturbed: seconds of its `dvc repro`, and how often it opens or renames a file to write."""

    seconds: float
    writes: int


class Killing:
    """Kills of stages in one workspace, each compared with what the workspace held before."""

    def __init__(self, workspace: Workspace, seed: int) -> None:
        self._path = workspace.path
        self._hooks = self._path.parent / "hooks"
        self._hooks.mkdir(exist_ok=True)
        (self._hooks / "sitecustomize.py").write_text(HOOK)
        self._stages = stages_of(self._path)
        self._outs = [out for stage in self._stages.values() for out in outs_of(stage)]
        self._whole = contents(self._path, self._outs)
        self._random = random.Random(seed)
        self._measured: dict[str, Measured] = {}

    def trial(self, number: int) -> Trial:
        inside, whom = number % 2 == 0, "all" if number // 2 % 2 else "stage"
        for _ in range(_DRAWS):
            stage = self._random.choice(list(self._stages))
            if self._killed(stage, inside, whom):
                break
        else:
            raise RuntimeError(f"none of {_DRAWS} moments met what was to be killed")
        when, killed = "inside a write" if inside else "at any moment", "DVC with it" if whom == "all" else "the stage"
        fault = f"SIGKILL {when}, {killed}"
        if left := self._left():
            return Trial(fault, False, f"{stage}: {left} goes on alone")
        said, told = self._recover(stage)
        return Trial(fault, not said, said or told)

    def _killed(self, stage: str, inside: bool, whom: str) -> bool:
        """Whether the signal met what it was sent to: a moment may come before the stage began, or after its end."""
        measured = self._measure(stage)
        if not inside:
            return self._killed_by_clock(stage, self._random.uniform(0, measured.seconds), whom)
        at = self._random.randint(1, max(1, measured.writes))
        return self._run(stage, FAULT_AT=f"{at}", FAULT_WHOM=whom) != 0

    def _left(self) -> str:
        """The command line of a process that is at work here half a minute after the kill; '' for none."""
        ends = time.monotonic() + 30
        while found := [one for one in psutil.process_iter() if _works_in(one, self._path)]:
            if time.monotonic() > ends:
                return " ".join(found[0].cmdline())
            time.sleep(0.1)
        return ""

    def _recover(self, stage: str) -> tuple[str, str]:
        """What is not as it was after `dvc repro`, in words ('' for nothing), and what the command said."""
        code, told = self._command("dvc", "repro", "--no-run-cache")
        if code:
            said = f"{stage}: `dvc repro` after it fails: {last_words(told)}"
        else:
            found = contents(self._path, self._outs)
            names = sorted(found.keys() | self._whole.keys())
            differing = [name for name in names if found.get(name) != self._whole.get(name)]
            said = f"{stage}: {', '.join(differing[:3])} differs" if differing else ""
        if said:
            self._command("git", "checkout", "-q", "--", ".")
            self._command("dvc", "checkout", "--force")
        return said, "`dvc repro` makes the same bytes"

    def _measure(self, stage: str) -> Measured:
        if stage not in self._measured:
            began, seen = time.monotonic(), self._hooks / "seen"
            seen.unlink(missing_ok=True)
            self._run(stage, FAULT_AT="-1", FAULT_WHOM="stage")
            self._measured[stage] = Measured(time.monotonic() - began, int(seen.read_text()) if seen.exists() else 1)
        return self._measured[stage]

    def _run(self, stage: str, **fault: str) -> int:
        return self._command(
            "dvc", "repro", "--no-run-cache", "-s", "-f", stage, PYTHONPATH=str(self._hooks), FAULT_STAGE=stage,
            FAULT_SEEN=str(self._hooks / "seen"), **fault,
        )[0]  # fmt: skip

    def _killed_by_clock(self, stage: str, seconds: float, whom: str) -> bool:
        process = subprocess.Popen(
            ["dvc", "repro", "--no-run-cache", "-s", "-f", stage], cwd=self._path, env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(seconds)
        at_work = [one for one in psutil.Process(process.pid).children(recursive=True) if _is_stage(one)]
        if whom == "all" and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        elif whom == "stage":
            for one in at_work:
                one.kill()
        return process.wait(300) != 0

    def _command(self, *command: str, **more: str) -> tuple[int, str]:
        log = self._path.parent / "kills.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command, cwd=self._path, env=environment(**more), stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            code = process.wait(600)
        return code, log.read_text(errors="replace")


def _is_stage(process: psutil.Process) -> bool:
    try:
        return any(word.startswith("stages.") for word in process.cmdline())
    except psutil.Error:  # it has just ended
        return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


def kills(workspace: Workspace, count: int, seed: int) -> list[Trial]:
    folder = workspace.path.parent / "kills"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workspace.path, folder / "finscale", symlinks=True)
    killing = Killing(Workspace(folder / "finscale"), seed)
    trials = []
    for number in range(count):
        trials.append(killing.trial(number))
        print(f"faults: kill {number + 1} of {count}: {trials[-1]}", flush=True)
    shutil.rmtree(folder)
    return trials
