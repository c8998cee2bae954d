"""A phase on a cluster: two workers, a bare origin, a folder as remote; a lost worker, two heads, each result once."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from tests.pipeline.conftest import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("finished")]

PHASE = ("python", "-m", "study.phase", "pilot", "--budgets", "10K", "12K", "--seeds", "0", "1",
         "--set", "train.epochs=1", "compare.resamples=100")  # fmt: skip
PATIENCE = 500  # seconds: on two cores that eight others use, a head takes a minute to start
FOUR = {f"pilot-{budget}-s{seed}" for budget in ("10K", "12K") for seed in (0, 1)}


@dataclass(frozen=True)
class Home:
    """A head's clone, and what it shares with nodes and with other heads."""

    head: Workspace
    origin: Path

    def another_head(self) -> Workspace:
        path = self.origin.parent / "second"
        subprocess.run(["git", "clone", "-q", str(self.origin), str(path)], check=True)
        second = Workspace(path)
        for line in ("user.name tests", "user.email tests@localhost"):
            second.run("git", "config", *line.split())
        second.run("dvc", "remote", "add", "--local", "--default", "shared", str(self.origin.parent / "remote"))
        return second

    def delivered(self) -> list[str]:
        """The experiments that origin has."""
        told = self.head.run("git", "ls-remote", "origin", "refs/exps/*")
        return [line.rpartition("/")[2] for line in told.splitlines()]


@pytest.fixture
def home(clone: Workspace, tmp_path: Path) -> Home:
    origin, remote = tmp_path / "origin.git", tmp_path / "remote"
    remote.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch", "main", str(origin)], check=True)
    clone.run("git", "remote", "set-url", "origin", str(origin))
    clone.run("git", "push", "-q", "origin", "HEAD:main")
    clone.run("dvc", "remote", "add", "--local", "--default", "shared", str(remote))
    clone.run("dvc", "push")
    return Home(clone, origin)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/cluster.md has in ~/.config/dask: one certificate for scheduler, workers and heads."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes the certificate")
    folder = tmp_path / "dask"
    folder.mkdir()
    own = {"cert": f"{folder}/finscale.crt", "key": f"{folder}/finscale.key"}
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=finscale",
            "-keyout", own["key"], "-out", own["cert"]]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    tls = {"ca-file": own["cert"], "scheduler": own, "worker": own, "client": own}
    settings = {"distributed": {"comm": {"require-encryption": True, "tls": tls}}}
    (folder / "finscale.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DASK_CONFIG", str(folder))


@contextmanager
def started(folder: Path, *words: str) -> Iterator[psutil.Process]:
    """A program of this Python in an empty folder of its own, as on a machine of its own."""
    folder.mkdir()
    program = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    environment = os.environ | {"FINSCALE_NODE": str(folder / "node")}
    with (folder / "log").open("w") as log:
        process = psutil.Popen(program, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        lose(process)


def lose(process: psutil.Process) -> None:
    """SIGKILL to a machine's worker and all that it has started."""
    if process.is_running():
        for one in [process, *process.children(recursive=True)]:
            one.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_for(condition: object) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends, "it does not come"
        time.sleep(0.1)


@contextmanager
def at_work(head: Workspace, *words: str) -> Iterator[psutil.Process]:
    """A head; its words go to a file beside its clone."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (head.path.parent / f"{head.path.name}-phase.log").open("w") as log:
        process = psutil.Popen(words, cwd=head.path, env=os.environ | {"PATH": path}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        lose(process)


def said(head: Workspace) -> str:
    return (head.path.parent / f"{head.path.name}-phase.log").read_text()


@pytest.mark.usefixtures("certificate")
def test_two_heads_and_a_worker_that_is_killed_leave_each_result_once(home: Home, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs dask.distributed: pip install -r requirements-cluster.txt")
    address, second = f"tls://127.0.0.1:{free_port()}", home.another_head()
    scheduler = (
        "dask",
        "scheduler",
        "--host",
        "tls://127.0.0.1",
        "--port",
        address.rpartition(":")[2],
        "--no-dashboard",
    )
    worker = ("dask", "worker", address, "--no-dashboard", "--no-nanny", "--nthreads")
    with (
        started(tmp_path / "scheduler", *scheduler),
        started(tmp_path / "lost", *worker, "1") as lost,
        started(tmp_path / "stays", *worker, "2"),
    ):
        for folder in ("lost", "stays"):
            wait_for(lambda: "Registered to" in (tmp_path / folder / "log").read_text())  # noqa: B023
        with at_work(home.head, *PHASE, "--on", address) as first, at_work(second, *PHASE, "--on", address) as other:
            wait_for(lambda: list((tmp_path / "lost/node/locks").glob("*.log")) or not first.is_running())
            time.sleep(2)  # an experiment is under way
            lose(lost)
            for head, process in ((home.head, first), (second, other)):
                assert process.wait(timeout=PATIENCE) == 0, said(head)
    assert {name.rpartition("-")[0] for name in home.delivered()} == FOUR
    assert len(home.delivered()) == 4
    for head in (home.head, second):
        ledger = pd.read_csv(head.path / "results/ledger.csv")
        assert ledger["key"].is_unique
        assert {name.rpartition("-")[0] for name in ledger["name"]} == FOUR
        assert len(list((head.path / "results/epochs").glob("*.csv"))) >= 4
        assert "0 of 4 runs to do" in head.run(*PHASE)
        assert not [path for path in (head.path / ".git/refs/exps").rglob("pilot-*") if path.is_file()]  # packed
