"""DVC and git as this project runs them: of this environment, and with their own words where they refuse."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from finscale.errors import InputError

# A second command of DVC in the same moment waits for the first to end, instead of failing after three seconds.
DVC = (sys.executable, "-m", "dvc", "--wait-for-lock")
_FORBIDDEN = "#"  # begins a comment in the files that DVC writes for an experiment's own folder


def environment(**more: str) -> dict[str, str]:
    """What there is, with this interpreter's folder first in PATH: stages run `python`, and so nothing is activated."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {"PATH": path} | more


def dvc(*arguments: str) -> int:
    """Run a command of DVC, which talks to the user itself; its exit status."""
    return subprocess.run([*DVC, *arguments], env=environment(), check=False).returncode


def git(*arguments: str) -> str:
    """What git prints. Raises InputError with git's words."""
    return git_bytes(*arguments).decode(errors="replace").strip()


def git_bytes(*arguments: str, told: bytes | None = None) -> bytes:
    """What git prints, as it is; `told` is what it reads. Raises InputError with git's words."""
    done = subprocess.run(["git", *arguments], input=told, capture_output=True, check=False)
    if done.returncode:
        words = " ".join(done.stderr.decode(errors="replace").split())
        raise InputError(f"`git {' '.join(arguments[:2])}` says: {words}; {_remedy(words)}")
    return done.stdout


def check_place(folder: Path) -> None:
    """Raise InputError where DVC cannot make experiments beside the workspace: it writes the folder's name in ASCII."""
    name = str(folder.resolve())
    if wrong := sorted({letter for letter in name if not letter.isascii() or letter in _FORBIDDEN}):
        raise InputError(
            f"{name}: DVC cannot run experiments of the queue, of --temp or of a phase in a folder with "
            f"{' or '.join(wrong)} in its name; move the repository (`dvc repro` and `dvc exp run` work here)"
        )


def _remedy(words: str) -> str:
    if "dubious ownership" in words:
        return "the command that it names makes the folder yours for git, or `chown` makes it yours altogether"
    if "not a git repository" in words:
        return "run it in a clone: experiments and their results are kept in git"
    return "what it names is to be mended first"


def reason_of(lines: Sequence[str]) -> str:
    """Why a command of DVC failed, by what it printed: a stage's own last error, else DVC's, else the last line."""
    stage = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    own = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    said = [line for line in lines if line.strip() and not line.startswith("Having any troubles?")]
    return (stage or own or said or ["its log is empty"])[-1].strip()
