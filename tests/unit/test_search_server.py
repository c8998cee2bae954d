"""A search that machines share in a PostgreSQL server: a killed machine's trial is retried once, counted once."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from finscale.search.study import create_study
from tests.unit.search_run import config

PASSWORD = "not-to-be-told"
AS_SERVER = "postgres" if os.getuid() == 0 else None  # a server refuses to run as root


def server_program(name: str) -> str | None:
    """A program of PostgreSQL: in PATH, else where Debian's package has it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an empty server of this test alone, with a password."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install -r requirements-cluster.txt")
    initdb, postgres = server_program("initdb"), server_program("postgres")
    if not initdb or not postgres:
        pytest.skip("needs a PostgreSQL server: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to the server's user
    if AS_SERVER:
        shutil.chown(folder, AS_SERVER)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    init = [initdb, "-D", f"{folder}/data", "-U", "finscale", "--auth=scram-sha-256", "--no-sync",
            f"--pwfile={folder}/password"]  # fmt: skip
    subprocess.run(init, user=AS_SERVER, cwd=folder, check=True, capture_output=True)
    serve = [postgres, "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(serve, user=AS_SERVER, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(lambda: "ready to accept connections" in (folder / "log").read_text())
        yield f"postgresql://finscale:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        running.send_signal(signal.SIGINT)  # fast: SIGTERM waits for clients, which a failed test leaves connected
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(condition: object) -> None:
    ends = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends, "it does not come"
        time.sleep(0.05)


@pytest.mark.slow  # 25 s
def test_a_killed_machine_s_trial_is_retried_once_and_no_machine_starts_one_too_many(
    server: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("killed", "second", "third")]  # machines share the server alone
    logs = [tmp_path / f"{folder.name}.log" for folder in folders]

    def start(machine: int) -> subprocess.Popen:
        command = [sys.executable, "-m", "tests.unit.search_run", str(folders[machine]), "4", server]
        with logs[machine].open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    study = create_study("planted", folders[1], config(4), server)
    with start(0) as killed:
        wait_for(lambda: list(folders[0].glob("runs/*/seed-0/step-*[1-9]")))
        killed.kill()
    with start(1) as second, start(2) as third:
        assert second.wait(timeout=90) == 0, logs[1].read_text()
        assert third.wait(timeout=90) == 0, logs[2].read_text()

    trials = study.get_trials()
    study._storage.remove_session()
    study._storage._backend.engine.dispose()  # its connections would be collected as garbage, with a warning
    states = [trial.state for trial in trials]
    assert (states.count(TrialState.FAIL), states.count(TrialState.COMPLETE)) == (1, 4)
    failed = next(trial for trial in trials if trial.state == TrialState.FAIL)
    again = [trial for trial in trials if trial.params == failed.params and trial.number != failed.number]
    assert [trial.state for trial in again] == [TrialState.COMPLETE]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 3
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
