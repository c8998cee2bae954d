"""The head of a phase: what nodes must know, checked before anything is sent; and a finished run brought home.

Nodes run the commit that HEAD is at, from origin, and leave data in the default DVC remote. So the commit has to be at
origin, the working tree must not differ from it in what decides a result, and the remote must be within everyone's
reach.
"""

import subprocess
import time
from pathlib import Path

from dvc.exceptions import DvcException

from finscale.errors import InputError
from finscale.imports import PROJECT_PACKAGES
from study.cluster.node import AtNode, version
from study.programs import git
from study.remote import check_mounted, default_remote, repository
from study.requirements import read_pins

# What a run reads of the commit: not what commands write beside it, such as the ledger.
DECIDING = (*PROJECT_PACKAGES, "params.yaml", "dvc.yaml", "search_spaces", "universes")
# A run's files that the ledger is made from; all others stay in the remote until somebody asks for them.
COLLECTED = ["models/runtime.json", "dvclive"]


def at_node() -> AtNode:
    """The task for nodes. Raises InputError where they could not run what lies here, or could not give it back."""
    commit, origin = git("rev-parse", "HEAD"), _origin()
    if changed := git("status", "--porcelain", "--", *(path for path in DECIDING if Path(path).exists())):
        raise InputError(
            f"nodes run the commit {commit[:12]}, and {_paths(changed)} here differ from it: commit, push, then start "
            "the phase again"
        )
    if not _is_at(origin, commit):
        raise InputError(f"nodes clone {origin}, which has no branch with the commit {commit[:12]}: `git push` it")
    check_mounted()
    name, url = default_remote()
    return AtNode(origin, commit, (name, url if "://" in url else str(Path(url).resolve())), packages())


def packages() -> dict[str, str]:
    """Python and the pinned packages of a run that are installed here, with their versions."""
    pinned = (pin.name for pin in read_pins(Path("requirements.txt")))
    return {name: have for name in ("python", *pinned) if (have := version(name)) != "-"}


def bring_home(reference: str, patience: float = 900.0) -> None:
    """Fetch a finished experiment: its commit, and of its data what the ledger is made from.

    Where origin or the remote is out of reach it is tried again for `patience` seconds; then raises InputError.
    """
    ends, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            git("fetch", "-q", "origin", f"+{reference}:{reference}")
            with repository() as repo:
                repo.fetch(targets=COLLECTED, revs=[git("rev-parse", reference)], workspace=False)
            return
        except (InputError, DvcException, OSError) as error:
            if time.monotonic() > ends:
                raise InputError(f"{reference} cannot be fetched: {error}; the same command goes on") from None
        time.sleep(pause)
        pause = min(2 * pause, 30.0)


def pack_references() -> None:
    """One file in place of one for each experiment: of thousands, git would open each."""
    git("pack-refs", "--all")


def _paths(changed: str) -> str:
    """The files that `git status --porcelain` names."""
    return ", ".join(line.split(maxsplit=1)[1] for line in changed.splitlines())


def _origin() -> str:
    """The address of origin, absolute where it is a folder: nodes clone it from wherever they are."""
    done = subprocess.run(["git", "remote", "get-url", "origin"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError("nodes clone the git remote origin, and here is none: `git remote add origin URL`, and push")
    address = done.stdout.strip()
    return str(Path(address).resolve()) if Path(address).exists() else address


def _is_at(origin: str, commit: str) -> bool:
    """Whether some branch or tag of origin holds the commit."""
    heads = {line.split()[0] for line in git("ls-remote", "--heads", "--tags", origin).splitlines()}
    if commit in heads:
        return True
    git("fetch", "-q", "origin")
    return bool(git("branch", "-r", "--contains", commit))
