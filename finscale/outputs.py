"""What a failed stage would lose: its earlier outputs, put back where they were.

DVC deletes a stage's outputs before it runs it; outputs with `persist: true` stay, but then DVC's run cache takes
nothing from the stage. So a stage that fails puts back what dvc.lock names: from DVC's cache what is held there, and
what is in git (`cache: false`) from a copy that its last success left in .dvc/tmp, else from the last commit.
A killed process (kill -9) can put nothing back: `dvc checkout` and `git checkout` do.
A stage whose DVC is gone may end after the next `dvc repro` has begun: what that one makes is left alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import psutil  # type: ignore[import-untyped]
import yaml

from finscale.storage import sweep

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo

PIPELINE = Path("dvc.yaml")
KEPT = Path(".dvc/tmp/outputs")
_LOCK_TRIES = 10  # of three seconds each


def running_stage() -> str | None:
    """The stage that DVC runs this process for, where its outputs are worth keeping.

    None also in the workspace of a `--temp` or queued experiment, which goes away with all that is in it.
    """
    return None if ".dvc/tmp/exps/" in Path.cwd().as_posix() else stage_of_dvc()


def stage_of_dvc() -> str | None:
    """The stage that DVC runs this process for, wherever; None for a process that somebody started by hand."""
    stage = os.environ.get("DVC_STAGE")
    main = getattr(sys.modules["__main__"].__spec__, "name", "")
    return stage if stage and main == f"stages.{stage}" else None


@contextmanager
def kept_on_failure(stage: str) -> Iterator[None]:
    """What ends the stage while inside (an error, Ctrl-C, `kill`) puts its earlier outputs back.

    What an earlier process, killed while it wrote, has left half written beside them is removed first.
    """
    for path in _outs(stage):
        for folder in {path, path.parent}:
            sweep(folder)
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except BaseException as ended:
        if isinstance(ended, SystemExit) and not ended.code:
            _keep(stage)
        else:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # asked twice: the outputs come first
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _try_to_restore(stage)
        raise
    _keep(stage)


def _try_to_restore(stage: str) -> None:
    """What ended the stage is to be told, whatever goes wrong here: a full disk takes no outputs back either."""
    try:
        restore(stage)
    except Exception as error:
        print(f"{stage}: its earlier outputs are not back in place ({error}); `dvc checkout` and `git checkout` do it")


def restore(stage: str) -> None:
    """Put back every output of the stage that is not as dvc.lock says. Says what could not be.

    Where another DVC makes these outputs meanwhile, nothing is put back. None begins to before this ends: DVC's lock is
    held, which it lets go of only while a stage of it runs.
    """
    from dvc.repo import Repo  # a second to import, and only a failure needs it

    with Repo() as repo, _locked(repo):
        outs = repo.stage.load_one(name=stage).outs
        if other := _other_maker(Path(repo.tmp_dir), {out.fs_path for out in outs}):
            print(f"{stage}: process {other} makes its outputs anew; they are left to it", file=sys.stderr)
            return
        outputs = [out for out in outs if out.hash_info and not _is_there(out)]
        lost = [str(out) for out in outputs if not _put_back(out)]
    if len(outputs) > len(lost):
        print(f"{stage}: its earlier outputs are back in place", file=sys.stderr)
    if lost:
        print(f"{stage}: no earlier copy of {', '.join(lost)} on this machine; `dvc pull`?", file=sys.stderr)


@contextmanager
def _locked(repo: "Repo") -> Iterator[None]:
    """DVC's lock of the repository. Raises LockError where another command holds it all the time."""
    from dvc.lock import LockError

    for left in reversed(range(_LOCK_TRIES)):
        try:
            repo.lock.lock()
            break
        except LockError:
            if not left:
                raise
    try:
        yield
    finally:
        repo.lock.unlock()


def _other_maker(folder: Path, outs: Set[str]) -> int | None:
    """The living process that DVC has noted for writing these files, where it is none of those that this runs for."""
    noted = folder / "rwlock"
    writers = json.loads(noted.read_text(encoding="utf-8")).get("write", {}) if noted.exists() else {}
    own = {one.pid for one in psutil.Process().parents()}
    pids = {about["pid"] for path, about in writers.items() if path in outs} - own
    return next((pid for pid in pids if psutil.pid_exists(pid)), None)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _keep(stage: str) -> None:
    """Copy the outputs that DVC's cache does not hold: git has them once they are committed, and not before."""
    for path, told in _outs(stage).items():
        if told.get("cache") is False:
            _copy(path, KEPT / path)


def _outs(stage: str) -> dict[Path, dict[str, Any]]:
    """The stage's outputs, and what dvc.yaml says of each."""
    entry = yaml.load(PIPELINE.read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"][stage]
    listed = [out for kind in ("outs", "metrics") for out in entry.get(kind, [])]
    told = [out if isinstance(out, dict) else {out: {}} for out in listed]
    return {Path(name): about for out in told for name, about in out.items()}


def _is_there(out: "Output") -> bool:
    return bool(out.exists) and not out.changed_checksum()


def _put_back(out: "Output") -> bool:
    if out.use_cache:
        if out.changed_cache():
            return False
        out.checkout(force=True)
        return True
    path = Path(os.path.relpath(out.fs_path))
    _copy(KEPT / path, path)
    if not _is_there(out):  # another commit has been checked out since: what git holds belongs to it
        subprocess.run(["git", "restore", "--source=HEAD", "--worktree", "--", path], capture_output=True, check=False)
    return _is_there(out)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
