"""Faults of the machine in words: no space, no memory, a disk that cannot be written. They are no defects of code.

A traceback tells a defect. What is told here has a file and a remedy instead, and no secret: addresses lose their user
and password, and what stands in an environment variable for a password or key is left out.
"""

import errno
import os
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from pathlib import Path

from finscale.errors import InputError

# Environment variables whose values nobody may read in a message.
SECRETS = (
    "FRED_API_KEY",
    "WANDB_API_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
)

_SPACE = "free some, or set FINSCALE_SCRATCH to a larger disk for saved states; then the same command goes on"
_RIGHTS = "give yourself the right to write there (`ls -ld` shows whose it is), then the same command goes on"
_OF_MACHINE = {
    errno.ENOSPC: ("no space left on the disk", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EFBIG: ("the file would be larger than this system allows", "see `ulimit -f`, or use another disk"),
    errno.EACCES: ("permission denied", _RIGHTS),
    errno.EPERM: ("operation not permitted", _RIGHTS),
    errno.EROFS: ("the disk is mounted read-only", "mount it writable; a disk that the system turned read-only fails"),
    errno.EIO: ("the disk reports an input/output error", "look at the system's log: a disk that does so is failing"),
    errno.EMFILE: ("too many open files", "raise `ulimit -n`"),
    errno.ENFILE: ("too many open files", "close other programs"),
    errno.ENOMEM: ("no memory", "close other programs, or set train.micro_batch: auto"),
    errno.ESTALE: ("a network disk has gone away", "mount it again"),
    errno.ENODEV: ("the disk has gone away", "mount it again"),
    errno.ENXIO: ("the disk has gone away", "mount it again"),
    errno.ELOOP: ("a link that leads to itself", "remove the link"),
    errno.ENAMETOOLONG: ("the name is too long", "use a shorter folder"),
    errno.ENOTDIR: ("a file lies where a folder should be", "move it away"),
    errno.EISDIR: ("a folder lies where a file should be", "move it away"),
}  # fmt: skip
# Libraries in other languages tell the system's fault in their message alone.
_CODE_IN_TEXT = re.compile(r"(?:os error|errno:?|Errno) (\d+)")
_NO_MEMORY = ("can't allocate memory", "out of memory", "bad allocation", "bad_alloc", "Cannot allocate memory")
_MEMORY = "no memory: {}; close other programs, or set train.micro_batch: auto or train.recompute: true"
_KILLED = (
    "one of the processes of this stage was killed, as a system does that runs out of memory; close other programs, "
    "then the same command goes on"
)
_COMMANDS = {"git": "install git", "dvc": "activate the environment (`. .venv/bin/activate`)"}
_CREDENTIALS = re.compile(r"(://)[^/@\s'\"]+@")


def in_words(error: BaseException, path: Path | None = None) -> str | None:
    """The fault of the machine that an exception tells, with file and remedy; None where it tells a defect.

    path: the file that was to be written, where the exception may not know it.
    """
    told = " ".join(str(error).split())
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(sign in told for sign in _NO_MEMORY)):
        return _MEMORY.format(told[:120] or "the system gives none")
    if isinstance(error, BrokenExecutor):
        return _KILLED
    if isinstance(error, FileNotFoundError) and error.filename in _COMMANDS:
        return f"{error.filename}: no such command; {_COMMANDS[error.filename]}"
    code = error.errno if isinstance(error, OSError) else None
    if code is None and (found := _CODE_IN_TEXT.search(told)):
        code = int(found[1])
    if code not in _OF_MACHINE:
        return None
    named = path or (Path(os.fsdecode(error.filename)) if isinstance(error, OSError) and error.filename else None)
    words, remedy = _OF_MACHINE[code]
    where = f"{named}: " if named else ""
    return f"{where}{words}{_free(named, code)}; {remedy}"


def raise_in_words(error: BaseException, path: Path) -> None:
    """Raise InputError where writing `path` met a fault of the machine; else return."""
    if said := in_words(error, path):
        raise InputError(f"{said}; what lay there before is untouched") from None


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without user and password of any address, and without the values of SECRETS."""
    values = os.environ if environment is None else environment
    for name in SECRETS:
        if len(value := values.get(name, "")) > 3:
            text = text.replace(value, f"${name}")
    return _CREDENTIALS.sub(r"\1", text)


def _free(path: Path | None, code: int) -> str:
    """' (0.1 MiB free in models)' where space is what lacks."""
    if path is None or code not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    folder = next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())
    return f" ({shutil.disk_usage(folder).free / 2**20:.1f} MiB free in {os.path.relpath(folder)})"
