"""One experiment at a node: a clone of the head's commit, `dvc exp run`, and the result at origin and in the remote.

Travels by value: a node has Python, git and the pinned packages (requirements-cluster.txt), no copy of this repository.
So nothing of the project is imported here, and what goes in and comes out is text, numbers and dictionaries.

    <folder>/<commit>-<origin>/   a clone per baseline commit, made once under a lock; saved states of training in it
    <folder>/cache/               DVC's cache, of all clones
    <folder>/locks/               who works on what; folder: $FINSCALE_NODE, else ~/.cache/finscale/node

The lock of an experiment is held by `dvc` itself. A worker that is killed leaves it at work; whoever is then given the
same experiment on this machine waits, and takes over what is finished.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

_SAVE_SECONDS = 600  # of a stopped training; SLURM's own limit is usually shorter
_PUSH = "import sys; from dvc.repo import Repo; Repo().push(revs=sys.argv[1:], workspace=False)"


class NodeError(Exception):
    """What a node was asked for and cannot do; the message is for the head's log."""


class AtNode:
    """Runs experiments of one commit at whatever node it is called.

    origin: the git repository's address; remote: name and address of the DVC remote; packages: versions that decide
    results, Python's among them; patience: seconds for which what is out of reach is asked for again.
    """

    def __init__(
        self, origin: str, commit: str, remote: tuple[str, str], packages: dict[str, str], patience: float = 900.0
    ) -> None:
        self.origin, self.commit, self.remote, self.packages = origin, commit, remote, packages
        self.patience = patience
        self._child: subprocess.Popen | None = None

    def __call__(self, name: str, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
        """Run DVC's `exp run ...`, or find that it has been; {ok, log, reference at origin, node}."""
        told = {"ok": False, "log": "", "reference": "", "node": socket.gethostname()}
        if faults := self.differing():
            return told | {
                "log": f"error: node {told['node']} has {faults}: requirements-cluster.txt says what to install"
            }
        try:
            return told | {"ok": True, "reference": self._run(name, command, environment)}
        except NodeError as error:
            return told | {"log": str(error)}

    def differing(self) -> str:
        """In which packages this machine differs from the head, in words; '' where in none."""
        return ", ".join(
            f"{name} {have} (the head {want})"
            for name, want in self.packages.items()
            if (have := version(name)) != want
        )

    def checkpoint(self, *arguments: Any) -> Any:
        """submitit calls it before a job is preempted or out of time: training saves, the job is queued again."""
        from submitit.helpers import DelayedSubmission

        if child := self._child:
            _end(child.pid)
        return DelayedSubmission(self, *arguments)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_child": None}

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> str:
        with held(node_folder() / "locks" / name) as lock:
            clone = self._clone()
            if found := self._at_origin(clone, name):
                return found
            self._await_remote()
            if not self._finished(clone, name):  # by an earlier try that could not deliver it
                self._experiment(clone, command, environment, lock)
            commit, reference = self._finished(clone, name) or ("", "")
            self._await_remote()
            # Data first: where origin has the reference, everything is there.
            self._patiently([sys.executable, "-c", _PUSH, commit], clone)
            self._deliver(clone, commit, reference, name)
            return self._at_origin(clone, name)

    def _experiment(self, clone: Path, command: list[str], environment: dict[str, str], lock: int) -> None:
        log = node_folder() / "locks" / f"{os.getpid()}-{time.monotonic_ns()}.log"
        # Missing inputs are pulled. In a group of its own, so that stages are reached by what stops it.
        words = [sys.executable, "-m", "dvc", "--wait-for-lock", *command[:2], "--pull", *command[2:]]
        with log.open("w", encoding="utf-8") as out:
            self._child = subprocess.Popen(
                words, cwd=clone, env=_environment() | environment, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, pass_fds=[lock],
            )  # fmt: skip
            status = self._child.wait()
        told = log.read_text(encoding="utf-8", errors="replace")
        log.unlink()
        if status:
            raise NodeError(told or f"dvc ended with {status}")

    def _clone(self) -> Path:
        """The clone of the commit; mended where it is stale: of another commit, or with files that were changed."""
        name = f"{self.commit[:12]}-{hashlib.sha256(self.origin.encode()).hexdigest()[:8]}"
        clone = node_folder() / name
        with held(node_folder() / "locks" / name):
            if not clone.exists():
                temporary = clone.with_name(f".tmp-{name}")
                shutil.rmtree(temporary, ignore_errors=True)
                self._patiently(["git", "clone", "-q", "--no-checkout", self.origin, str(temporary)], clone.parent)
                temporary.rename(clone)
            if git(clone, "rev-parse", "HEAD") != self.commit or git(clone, "status", "--porcelain", "-uno"):
                if not git(clone, "cat-file", "-t", self.commit):
                    self._patiently(["git", "fetch", "-q", "origin", self.commit], clone)
                self._patiently(["git", "checkout", "-q", "--force", "--detach", self.commit], clone)
            self._configure(clone)
        return clone

    def _configure(self, clone: Path) -> None:
        """DVC's cache of this node and the head's remote, under its name: what is committed about it holds here too."""
        remote, url = self.remote
        (clone / ".dvc/config.local").write_text(
            f"[core]\n    remote = {remote}\n[cache]\n    dir = {node_folder() / 'cache'}\n"
            f"['remote \"{remote}\"']\n    url = {url}\n",
            encoding="utf-8",
        )
        git(clone, "config", "user.name", "node")
        git(clone, "config", "user.email", f"node@{socket.gethostname()}")

    def _await_remote(self) -> None:
        """Until a remote that is a folder is there: DVC would make an absent one, and fill it for nobody."""
        url, ends = self.remote[1], time.monotonic() + self.patience
        while "://" not in url and not Path(url).is_dir():
            if time.monotonic() > ends:
                raise NodeError(
                    f"error: node {socket.gethostname()} has no folder {url}, the DVC remote: mount it there"
                )
            time.sleep(0.5)

    def _at_origin(self, clone: Path, name: str) -> str:
        reference = f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"
        return reference if self._patiently(["git", "ls-remote", "origin", reference], clone) else ""

    def _finished(self, clone: Path, name: str) -> tuple[str, str] | None:
        reference = f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"
        commit = git(clone, "rev-parse", "--verify", "--quiet", reference)
        return (commit, reference) if commit else None

    def _deliver(self, clone: Path, commit: str, reference: str, name: str) -> None:
        """Push the experiment's reference; another node may have been first, then its result stands."""
        try:
            self._patiently(["git", "push", "-q", "origin", f"{commit}:{reference}"], clone, "rejected")
        except NodeError:
            if not self._at_origin(clone, name):
                raise

    def _patiently(self, command: list[str], folder: Path, given_up: str = "") -> str:
        """Run a command that needs another machine, again and again until it succeeds; its output.

        given_up: a word of its errors after which it is not tried again. Raises NodeError when patience is at its end.
        """
        ends, pause = time.monotonic() + self.patience, 0.5
        while True:
            done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
            if time.monotonic() > ends or (given_up and given_up in done.stderr):
                said = (done.stderr.strip().splitlines() or ["no word"])[-1]
                raise NodeError(f"error: `{' '.join(command[:3])}` failed for {self.patience:g} s: {said}")
            time.sleep(pause)
            pause = min(2 * pause, 30.0)


def node_folder() -> Path:
    return Path(os.environ.get("FINSCALE_NODE") or Path.home() / ".cache/finscale/node")


def version(name: str) -> str:
    """A package's version without what it was built for (torch 2.13.0+cpu is 2.13.0), or Python's; '-' for none."""
    if name == "python":
        return ".".join(platform.python_version_tuple()[:2])
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "-"


def git(folder: Path, *arguments: str) -> str:
    """What git says of a clone, '' where it refuses."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """A lock among the processes of this machine (or of those that share the folder), as an open file's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()  # closed, it is free, unless a child holds it too


def _end(pid: int) -> None:
    """SIGTERM to DVC and all that it has started, and wait for the stages: training saves its state first.

    Not by Popen's own wait: a signal's handler comes here in the middle of it, and it holds a lock.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        dvc = psutil.Process(pid)
        stages = dvc.children(recursive=True)
        for process in (dvc, *stages):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(stages, timeout=_SAVE_SECONDS)


def _environment() -> dict[str, str]:
    """Of commands: this Python's programs first, no question to a terminal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": path, "GIT_TERMINAL_PROMPT": "0", "DVC_NO_ANALYTICS": "1"}
