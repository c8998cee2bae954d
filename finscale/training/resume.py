"""Saved states of an unfinished run: what makes it go on where it stopped, to the last bit.

A run's folder, <scratch>/<key>/, holds

    step-00000123/  state.safetensors  every tensor: weights, optimizer moments, generator states, batch losses
                    state.json         every number, and the SHA-256 of both
    best-0007/      the same two files with the best epoch's weights alone

Several processes write a file each in place of the one, with the parts of the tensors that they hold: nothing is put
together, and any number of processes goes on from there (finscale.training.sharding). They save and look together.

The key hashes settings, data and code, so that a changed run never finds another's state. The folder lies outside
the workspace, because DVC clears outputs and runs queued experiments in workspaces of their own. Nothing is ever
unpickled. A state appears whole or not at all: it is written to a temporary folder, synced, and renamed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from finscale.faults import raise_in_words
from finscale.training import sharding

_SUFFIX = ".safetensors"
TENSORS, NUMBERS = f"state{_SUFFIX}", "state.json"
_ORPHANED_AFTER = 30 * 24 * 3600  # seconds without a save after which nobody comes back for a run ...
_GRACE = 7 * 24 * 3600  # ... and between the two starts that find it so


@dataclass(frozen=True)
class State:
    """A saved state that is whole: where its tensors lie, its numbers, and where the best weights lie it refers to."""

    folder: Path
    numbers: dict[str, Any]
    best: Path | None


def run_key(params: dict[str, Any], files: dict[str, str]) -> str:
    """Hash of all that decides a run's result: its settings, and its inputs and code by name and content hash."""
    told = json.dumps({"params": params, "files": files}, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


class SavedRun:
    """The saved states of one run."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> Path:
        """Save the state after numbers["step"] steps; older ones than the last `keep` are removed."""
        target = self.folder / f"step-{numbers['step']:08d}"
        _write(target, tensors, numbers)
        if sharding.is_main():
            self._prune()
        sharding.wait()
        return target

    def save_best(self, weights: dict[str, Tensor], epoch: int, loss: float) -> None:
        _write(self._best(epoch), weights, {"epoch": epoch, "validation_loss": loss})

    def has_best(self, epoch: int) -> bool:
        return self._best(epoch).exists()

    def newest(self) -> State | None:
        """The newest undamaged state; None where there is none.

        A damaged state is passed over with a warning, and deleted, for the one before. The first process looks.
        """
        found = self._newest() if sharding.is_main() else None
        step = sharding.as_the_first(found.numbers["step"] if found else -1)
        if sharding.is_main() or step < 0:
            return found
        return _state(self, self.folder / f"step-{step:08d}")

    def _newest(self) -> State | None:
        for folder in reversed(self.states()):
            try:
                state = _state(self, folder)
                for one in (state.folder, *([state.best] if state.best else [])):
                    _check(one)
            except DamagedStateError as damage:
                warnings.warn(f"{damage}; going back to the state before it", stacklevel=2)
                for unusable in {folder, damage.folder}:
                    shutil.rmtree(unusable, ignore_errors=True)
                continue
            return state
        return None

    def states(self) -> list[Path]:
        """Folders of the saved states, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def remove(self) -> None:
        """The run is complete: nobody will resume it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _best(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch:04d}"

    def _prune(self) -> None:
        states = self.states()
        for folder in states[: -self._keep]:
            shutil.rmtree(folder)
        needed = {self._best(_told_best(folder)) for folder in states[-self._keep :]}
        for folder in set(self.folder.glob("best-*")) - needed:
            shutil.rmtree(folder)


class DamagedStateError(Exception):
    """A saved state whose bytes are not those that were written."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(f"{folder} is damaged: {reason}")
        self.folder = folder


def _write(target: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    temporary = target.with_name(f".tmp-{target.name}")
    try:
        _fill(temporary, tensors, numbers)
        if sharding.is_main():
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
            _sync(target.parent)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)  # room for the other states, where room is what lacks
        raise_in_words(error, target)
        raise
    sharding.wait()


def _fill(folder: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    if sharding.is_main():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    sharding.wait()
    sharding.save_tensors(tensors, folder, TENSORS)
    sharding.wait()
    if not sharding.is_main():
        return
    text = json.dumps(numbers, allow_nan=False)
    told = {"sha256": _digest(folder, text), "numbers": text}
    (folder / NUMBERS).write_text(json.dumps(told), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _state(run: SavedRun, folder: Path) -> State:
    try:
        numbers = _read_numbers(folder)
        best = run._best(numbers["best_epoch"]) if numbers["best_epoch"] else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedStateError(folder, error) from None
    return State(folder, numbers, best)


def _check(folder: Path) -> None:
    """Raises DamagedStateError where a folder does not hold what was written."""
    try:
        told = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        if _digest(folder, told["numbers"]) != told["sha256"]:
            raise DamagedStateError(folder, "its checksum differs")
        for path in folder.glob(f"*{_SUFFIX}"):
            with safe_open(path, framework="pt"):
                pass
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DamagedStateError(folder, error) from None


def _told_best(folder: Path) -> int:
    """The best epoch that a state refers to; 0 where its file cannot be read."""
    try:
        return int(_read_numbers(folder)["best_epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _read_numbers(folder: Path) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads(json.loads((folder / NUMBERS).read_text(encoding="utf-8"))["numbers"])
    return numbers


def _digest(folder: Path, numbers: str) -> str:
    """SHA-256 of a folder's tensors, file after file, and its numbers."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    digest.update(numbers.encode())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Have a file's or folder's bytes on the disk before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def claim(scratch: Path, key: str) -> Iterator[Path]:
    """The run's folder, held by this process alone; released when the process ends, however it ends.

    Waits where another process trains the very same run, so that two never write one folder.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / f"{key}.lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"train: another process trains this very run ({scratch / key}); waiting for it to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(scratch / f"{key}.lock")
        try:
            yield scratch / key
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # also for a forked child, which would hold it open


def collect_orphans(scratch: Path, mine: Collection[str] = (), now: float | None = None) -> list[str]:
    """Remove the runs that nobody has saved or started for a month; returns their keys.

    mine: keys that are about to be used, whatever their age. Age is not judged by one look at a clock, which may be
    wrong: a run is marked as left first, and removed by a start that finds its mark a week old and the run as it was.
    """
    now, removed = time.time() if now is None else now, []
    for lock in sorted(scratch.glob("*.lock")):
        folder, mark = lock.with_suffix(""), lock.with_suffix(".left")
        touched = max(path.stat().st_mtime for path in (lock, folder) if path.exists())
        if lock.stem in mine or now - touched <= _ORPHANED_AFTER:
            mark.unlink(missing_ok=True)
        elif not mark.exists() or not touched < mark.stat().st_mtime <= now:  # not marked, or by a clock that ran ahead
            mark.touch()
            os.utime(mark, (now, now))
        elif now - mark.stat().st_mtime > _GRACE:
            shutil.rmtree(folder, ignore_errors=True)
            for path in (lock, mark):
                path.unlink()
            removed.append(lock.stem)
    return removed
