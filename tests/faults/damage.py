"""Each input of the stages cut in half, emptied, or overwritten: one line names the file, and nothing is made."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from stages.dictionary import CLOSED
from tests.faults.trial import ROOT, Trial, contents, last_words, outs_of, run_stage, stages_of
from tests.pipeline.conftest import Workspace

_NOISE = random.Random(0).randbytes(200)
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "overwritten": lambda content: _NOISE + content[200:],
}
_TEXT = (".md5",)  # read by DVC alone
_READ_LEDGER = ("trade", "scaling", "report")
_RESULTS = ("ledger.csv", "settings.json", "daily", "epochs")


def damage(workspace: Workspace, only: str | None = None) -> list[Trial]:
    """Each file that a stage depends on, in the first stage that reads its values.

    The ledger is the committed one with all its rows, losses per day and per epoch among them.
    """
    folder = workspace.path.parent / "damage"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workspace.path, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", "cache", "tests"))
    for name in _RESULTS:
        _copy(ROOT / "results" / name, folder / "results" / name)
    for stage in _READ_LEDGER:
        code, told = run_stage(stage, folder)
        assert code == 0, told
    stages = stages_of(folder)
    trials = []
    for file, stage in _readers(folder, stages).items():
        if only is None or only in file.as_posix():
            for how, change in DAMAGES.items():
                trials.append(_trial(folder, file, stage, how, change, outs_of(stages[stage])))
                print(f"faults: {trials[-1]}", flush=True)
    shutil.rmtree(folder)
    return trials


def _trial(folder: Path, file: Path, stage: str, how: str, change: Callable[[bytes], bytes], outs: list[Path]) -> Trial:
    fault, path = f"`{file}` {how}, read by {stage}", folder / file
    whole, before = path.read_bytes(), contents(folder, outs)
    path.unlink()
    path.write_bytes(change(whole))
    try:
        code, told = run_stage(stage, folder)
        after = contents(folder, outs)
    finally:
        path.write_bytes(whole)
    for name in after.keys() - before.keys():
        (folder / name).unlink()
    for name, content in before.items():
        (folder / name).write_bytes(content)
    if "Traceback" in told:
        return Trial(fault, False, f"a traceback: {last_words(told)}")
    aside = [line for line in told.splitlines() if file.name in line and re.search("^warning: |set aside: ", line)]
    if code == 0 and aside:
        return Trial(fault, True, aside[0])
    if code == 0 and after != before:
        return Trial(fault, False, f"taken in silence: {last_words(told)}")
    if code and file.name not in told and file.parent.name not in told:
        return Trial(fault, False, f"the file is not named: {last_words(told)}")
    return Trial(fault, True, last_words(told) if code else f"nothing depends on it: {last_words(told)}")


def _readers(folder: Path, stages: dict[str, dict]) -> dict[Path, str]:
    """The first stage that reads the values of each file which a stage depends on."""
    readers: dict[Path, str] = {}
    for name, told in stages.items():
        for path in (Path(dep) for dep in told.get("deps", [])):
            if path.suffix in _TEXT or path.name in ("finscale", "stages"):
                continue
            if name == "dictionary" and path in CLOSED:  # it reads their schema alone
                continue
            for file in [path] if (folder / path).is_file() else _inside(folder, path):
                readers.setdefault(file, name)
    return readers


def _inside(folder: Path, path: Path) -> list[Path]:
    """Of a folder that is an input the files that people write, and one of each other kind."""
    files = sorted(file.relative_to(folder) for file in (folder / path).rglob("*") if file.is_file())
    written = [file for file in files if file.suffix == ".yaml" and path.name != "dvclive"]
    return [*written, *{file.suffix: file for file in files if file not in written}.values()]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
