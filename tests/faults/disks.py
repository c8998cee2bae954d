"""A full disk at each writer: every stage runs on a small disk that has room for none, some or most of its outputs.

The stage ends with one line that names the file, what lay there stays, and with room again it makes the same bytes.
"""

import shutil
from pathlib import Path

from tests.faults.trial import Trial, contents, last_words, outs_of, run_stage, stages_of
from tests.pipeline.conftest import Workspace
from tests.small_disks import small_disk

_LEFT_OUT = (".git", "cache", "tmp", "tests")  # no stage reads them
_BLOCK = 4096  # bytes of a page: what a small file takes
SHARES = (0.0, 0.4, 0.8)  # of what a stage writes
_TO_SCRATCH = {"train": (1.5, 2.5, 4.0), "tune": (1.5,)}  # so much again, for what stages write outside their outputs


def disks(workspace: Workspace, only: str | None = None) -> list[Trial]:
    trials = []
    kept = workspace.path.parent / "disk-plain"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(workspace.path, kept, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    need = 2 * sum(_room(path) for path in kept.rglob("*") if path.is_file()) // 1024 + 64 * 1024
    with small_disk(workspace.path.parent / "disk", need) as disk:
        shutil.copytree(kept, disk / "finscale", symlinks=True)
        for stage, told in stages_of(kept).items():
            outs = outs_of(told)
            if only is None or only == stage:
                for share in (*SHARES, *_TO_SCRATCH.get(stage, ())):
                    trials.append(_trial(stage, outs, disk, share))
                    print(f"faults: {trials[-1]}", flush=True)
                    shutil.rmtree(disk / "finscale")
                    shutil.copytree(kept, disk / "finscale", symlinks=True)
    shutil.rmtree(kept)
    return trials


def _trial(stage: str, outs: list[Path], disk: Path, share: float) -> Trial:
    place, filler, fault = disk / "finscale", disk / "filler", f"full disk in `{stage}`"
    before = contents(place, outs)
    room = int(share * sum(_room(file) for out in outs for file in _files(place / out))) // _BLOCK * _BLOCK
    _fill(filler, disk, room)
    try:
        code, told = run_stage(stage, place, FINSCALE_SCRATCH=str(disk / "finscale/scratch"))
        after = contents(place, outs)
    finally:
        filler.unlink()
    if "Traceback" in told:
        return Trial(fault, False, f"a traceback: {last_words(told)}")
    if code and "no space left on the disk" not in told:
        return Trial(fault, False, f"another cause is named: {last_words(told)}")
    if code and any(before.get(name) and not content for name, content in after.items()):
        return Trial(fault, False, f"an output is left empty: {last_words(told)}")
    again, words = run_stage(stage, place, FINSCALE_SCRATCH=str(disk / "finscale/scratch"))
    if again or contents(place, outs) != before:
        return Trial(fault, False, f"with room again: {last_words(words) if again else 'other bytes'}")
    return Trial(fault, True, last_words(told) if code else "there was room enough")


def _fill(filler: Path, disk: Path, room: int) -> None:
    """Leave so many bytes on the disk."""
    with filler.open("wb") as file:
        file.write(b"0" * max(0, shutil.disk_usage(disk).free - room))


def _room(path: Path) -> int:
    return -(-path.stat().st_size // _BLOCK) * _BLOCK


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
