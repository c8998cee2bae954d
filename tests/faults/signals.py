"""SIGINT and SIGTERM to each process of `dvc repro`, `dvc exp run`, the queue and a phase, once training has saved.

SIGKILL as well to those that stand above the stage: the stage itself is killed by kills.py. Afterwards no process is
left, the same command goes on, and the weights are those of a run that nobody disturbed.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.faults.trial import Trial, environment, last_words
from tests.pipeline.conftest import Workspace

SETTINGS = {"epochs": 6, "patience": 6, "checkpoint": {"every_epochs": 1, "every_steps": 5, "keep": 3}}
_TO_ITS_END = "nothing stops: training goes on to its end"
STAGE, MODEL = "stages.train", "models/model.safetensors"
WAIT = 240.0  # seconds, also on a busy machine


@dataclass(frozen=True)
class Command:
    """words: what is typed. processes: which there are, by a word of their command lines; the stage is one of them."""

    words: tuple[tuple[str, ...], ...]
    processes: tuple[str, ...]


RUN = ("dvc", "exp", "run", "--name", "mine")
COMMANDS = {
    "dvc repro": Command((("dvc", "repro", "train"),), ("repro train", STAGE)),
    "dvc exp run": Command(((*RUN, "--force", "train"),), ("exp run", STAGE)),
    "queue": Command(
        ((*RUN, "--queue", "--force", "train"), ("dvc", "queue", "start")), ("queue-worker", "exec-run", STAGE)
    ),
    "phase": Command(
        (("python", "-m", "study.phase", "pilot", "--budgets", "10K", "--seeds", "0", "--jobs", "1"),),
        ("study.phase", "exp run", "exec-run", STAGE),
    ),
}  # fmt: skip


def signals(workspace: Workspace, only: str | None = None) -> list[Trial]:
    trials: list[Trial] = []
    folder = workspace.path.parent / "signals"
    shutil.rmtree(folder, ignore_errors=True)
    straight = _undisturbed(workspace, folder / "straight")
    for fault, (command, process, send) in _faults().items():
        if only is None or only in fault:
            trials.append(_trial(workspace, folder / f"{len(trials)}", fault, command, process, send, straight))
            print(f"faults: {trials[-1]}", flush=True)
    return trials


Send = Callable[[Workspace, psutil.Process], object]


def _faults() -> dict[str, tuple[Command, str, Send]]:
    """In words: the command that runs, the process that has to be there, and what is done then."""
    found: dict[str, tuple[Command, str, Send]] = {}
    for name, command in COMMANDS.items():
        for process in command.processes:
            for number in (signal.SIGINT, signal.SIGTERM, *(() if process == STAGE else (signal.SIGKILL,))):
                fault = f"{number.name} to `{process}` of {name}"
                found[fault] = command, process, lambda _, to, number=number: to.send_signal(number)
    for words in (("stop", "--kill"), ("kill", "mine"), ("kill", "--force", "mine")):
        told = ("dvc", "queue", *words)
        found[f"`{' '.join(told)}`"] = COMMANDS["queue"], STAGE, lambda clone, _, told=told: clone.run(*told)
    return found


def _longer_run(workspace: Workspace, folder: Path) -> Workspace:
    shutil.copytree(workspace.path, folder / "finscale", symlinks=True)
    clone = Workspace(folder / "finscale")
    clone.set_params(train=SETTINGS)
    clone.commit("a longer run")
    return clone


def _undisturbed(workspace: Workspace, folder: Path) -> bytes:
    """The weights of the run that nobody disturbs."""
    clone = _longer_run(workspace, folder)
    code, told = _repro(clone, folder / "scratch")
    assert code == 0, told
    weights = (clone.path / MODEL).read_bytes()
    shutil.rmtree(folder)
    return weights


def _trial(
    workspace: Workspace, folder: Path, fault: str, command: Command, process: str, send: Send, straight: bytes
) -> Trial:
    """folder: of this trial alone, since what DVC does in the background may write to it to the end and beyond."""
    clone = _longer_run(workspace, folder)
    log = folder / "log"
    try:
        scratch = folder / "scratch"
        scratch.mkdir()
        with log.open("w") as out:
            first = _start(clone, command, out, scratch)
            found: psutil.Process | None = _wait(lambda: _saved(scratch) and _find(clone.path, process))
            if not found:
                return Trial(fault, False, f"never came to train: {last_words(log.read_text(errors='replace'))}")
            send(clone, found)
            left = not _wait(lambda: not _ours(clone.path, STAGE), 90)
            _end(clone, first)
            if left:
                return Trial(fault, False, f"training goes on alone: {last_words(log.read_text(errors='replace'))}")
            return _goes_on(fault, clone, scratch, straight, _stopped(clone, log))
    finally:
        for one in _ours(folder, ""):
            one.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _stopped(clone: Workspace, log: Path) -> str:
    """What training said last when it stopped, wherever that is written: a queue and a phase have logs of their own."""
    logs = [log, *clone.path.glob(".dvc/tmp/**/*.out"), *clone.path.glob(".dvc/tmp/**/*.log")]
    said = [last_words(one.read_text(errors="replace")) for one in logs]
    return next((words for words in said if "stopped by" in words), _TO_ITS_END)


def _goes_on(fault: str, clone: Workspace, scratch: Path, straight: bytes, stopped: str) -> Trial:
    """`dvc repro train` finds the saved state, and ends with the weights of a run that nobody disturbed."""
    saved = _saved(scratch)
    clone.run("git", "checkout", "-q", "-f", "HEAD")
    code, told = _repro(clone, scratch)
    if code or (clone.path / MODEL).read_bytes() != straight:
        return Trial(fault, False, f"afterwards: {last_words(told) if code else 'other weights'}")
    if saved and "goes on after step" not in told and "did not change" not in told:
        return Trial(fault, False, "the saved state was not taken up")
    return Trial(fault, True, stopped)


def _repro(clone: Workspace, scratch: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["dvc", "repro", "--no-run-cache", "-s", "train"], cwd=clone.path, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=environment(FINSCALE_SCRATCH=str(scratch)), check=False, timeout=WAIT,
    )  # fmt: skip
    return done.returncode, done.stdout


def _start(clone: Workspace, command: Command, out: object, scratch: Path) -> subprocess.Popen:
    for words in command.words:
        last = subprocess.Popen(
            words, cwd=clone.path, env=environment(FINSCALE_SCRATCH=str(scratch)), stdout=out,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        if words is not command.words[-1]:
            last.wait(WAIT)
    return last


def _end(clone: Workspace, first: subprocess.Popen) -> None:
    """What waits for more work (the queue's worker) is told to end; the command itself has ended."""
    try:
        first.wait(90)
    except subprocess.TimeoutExpired:
        os.killpg(first.pid, signal.SIGKILL)
    subprocess.run(
        ["dvc", "queue", "stop", "--kill"], cwd=clone.path, env=environment(), capture_output=True, check=False
    )
    _wait(lambda: not _ours(clone.path, "queue-worker"), 30)


def _saved(scratch: Path) -> list[Path]:
    return list(scratch.glob("*/step-*"))


def _find(folder: Path, word: str) -> psutil.Process | None:
    found = _ours(folder, word)
    return found[0] if found else None


def _ours(folder: Path, word: str) -> list[psutil.Process]:
    """Processes at work in this folder whose command line has the word."""
    found = []
    for one in psutil.process_iter():
        try:
            if word in " ".join(one.cmdline()) and Path(one.cwd()).is_relative_to(folder) and one.pid != os.getpid():
                found.append(one)
        except (psutil.Error, OSError):
            continue
    return found


def _wait(what: Callable[[], Any], seconds: float = WAIT) -> Any:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := what():
            return found
        time.sleep(0.02)
    return None
