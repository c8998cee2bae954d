"""Runs on other machines: who is trusted, what travels, and what a node does where something is out of order."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from typing import Any

import psutil
import pytest

from finscale.errors import InputError
from study.cluster import head
from study.cluster.dask_nodes import check_address, dask_executor
from study.cluster.node import AtNode, version
from study.cluster.place import open_place, parse_needs
from study.cluster.portable import Portable
from study.workers import Done, Run, command_of, reasons, work_off


class Told(Executor):
    """An executor that does what it is told to each of its calls: return, raise, or be cancelled."""

    def __init__(self, *endings: object) -> None:
        self.endings, self.asked = list(endings), list[tuple]()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        self.asked.append(args)
        future: Future = Future()
        ending = self.endings.pop(0)
        if isinstance(ending, BaseException):
            future.set_exception(ending)
        else:
            future.set_result(ending)
        return future


def test_whatever_an_executor_makes_of_a_run_is_its_log_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.workers.LOGS", tmp_path)
    away: Done = {"ok": True, "log": "", "reference": "refs/exps/ab/cd/a", "node": "n1"}
    refused: Done = {"ok": False, "log": "error: dataset: 16 positives\n", "node": "n1"}
    executor = Told(away, refused, RuntimeError("lost three workers"), CancelledError())
    runs = [Run(name, {"budget": "10K"}) for name in "abcd"]
    done: list[Done] = []
    failed = work_off(runs, executor, done.append)
    assert {run.name for run in failed} == {"b", "c", "d"}
    assert set(reasons(failed).splitlines()[::2]) == {
        "  dataset: 16 positives", "  RuntimeError: lost three workers",
        "  the executor has given it up: its scheduler is gone",
    }  # fmt: skip
    assert [told["reference"] for told in done if "reference" in told] == ["refs/exps/ab/cd/a"]
    assert executor.asked[0] == ("a", command_of(runs[0]), {})  # plain values: they can go anywhere


def test_what_travels_needs_no_copy_of_the_repository_at_a_node(tmp_path: Path) -> None:
    node = AtNode("origin", "c0ffee", ("disk", "/nowhere"), {"python": version("python"), "torch": "0.0.1"})
    sent = tmp_path / "sent"
    sent.write_bytes(pickle.dumps((Portable(node.differing, 1), Portable(node, 1))))
    there = "import pickle, sys; f, node = pickle.load(open('sent', 'rb')); print(f()); print(node('n', [], {})['log'])"
    done = subprocess.run([sys.executable, "-c", there], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"torch {version('torch')} (the head 0.0.1)"
    assert second.endswith(f"has {first}: requirements-cluster.txt says what to install")  # refused by name


def test_the_same_run_of_two_heads_is_one_task_of_the_scheduler_and_goes_where_it_has_what_it_needs() -> None:
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed: requirements-cluster.txt")
    options = {"protocol": "tcp", "dashboard_address": None, "processes": False, "resources": {"GPU": 1}}
    node = AtNode("origin", "c0ffee", ("disk", "/nowhere"), head.packages())
    other = {"python": version("python"), "torch": "0.0.1"}
    refusing = AtNode("origin", "c0ffee", ("disk", "/nowhere"), other)  # and so it is quick
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        address = cluster.scheduler_address
        with (
            dask_executor(address, {"GPU": 0.25}, node) as first,
            dask_executor(address, {"GPU": 0.25}, node) as second,
        ):
            runs = [(one, name) for name in "ab" for one in (first, second)]
            futures = [one.submit(Portable(refusing, "token"), name, [], {}) for one, name in runs]
            assert all("torch 2.13.0 (the head 0.0.1)" in future.result(20)["log"] for future in futures)
            assert len(cluster.scheduler.tasks) == 2
        with (
            pytest.raises(InputError, match="--with TPU=1: no worker offers it"),
            dask_executor(address, {"TPU": 1}, node),
        ):
            pass
        with pytest.raises(InputError, match=r"nodes would not give the results.*\n.*torch 2.13.0 .the head 0.0.1"):
            dask_executor(address, {}, refusing).__enter__()


def test_nodes_are_compared_in_all_that_a_run_s_set_pins_whatever_they_were_built_for() -> None:
    told = head.packages()
    assert told["torch"] == "2.13.0"  # 2.13.0+cpu here, 2.13.0 with CUDA at a node
    assert {"python", "dvc", "numpy", "catboost", "scipy"} < set(told)
    assert AtNode("", "", ("", ""), told).differing() == ""


@pytest.mark.parametrize("address", ["tls://head:8786", "tls://10.0.0.1:8786", "tcp://127.0.0.1:8786", "tcp://[::1]:1"])
def test_code_travels_by_tls_or_within_the_machine(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://10.0.0.1:8786", "what travels to nodes is code"),
        ("tcp://0.0.0.0:8786", "what travels to nodes is code"),
        ("tcp://head.invalid:8786", "what travels to nodes is code"),
        ("tls://head", "a scheduler's address is tls://HOST:PORT"),
        ("head:8786", "a scheduler's address is tls://HOST:PORT"),
        ("http://127.0.0.1:8786", "a scheduler's address is tls://HOST:PORT"),
    ],
)
def test_a_cluster_that_anybody_could_send_code_to_is_refused(address: str, why: str) -> None:
    with pytest.raises(InputError, match=f"--on {address.replace('[', '.')}: .*{why}"):
        check_address(address)


def test_without_a_certificate_no_scheduler_is_asked() -> None:
    pytest.importorskip("distributed", reason="needs dask.distributed: requirements-cluster.txt")
    with pytest.raises(InputError, match=r"--on tls://127.0.0.1:1: dask has no certificate here"):
        dask_executor("tls://127.0.0.1:1", {}, AtNode("", "", ("", ""), {})).__enter__()


def test_needs_are_of_nodes_alone_and_read_as_yaml() -> None:
    assert parse_needs(["GPU=0.25", "slurm_partition=gpu"]) == {"GPU": 0.25, "slurm_partition": "gpu"}
    with pytest.raises(InputError, match=r"--with takes NAME=VALUE, not \['GPU'\]"):
        parse_needs(["GPU"])
    with pytest.raises(InputError, match="--with GPU: of nodes; say which with --on"), open_place("", 1, {"GPU": 1}):
        pass


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small DVC repository: params.yaml -> one stage -> one output; its bare origin, and a folder as remote."""
    (tmp_path / "remote").mkdir()
    git(tmp_path, "init", "-q", "--bare", "--initial-branch", "main", "origin.git")
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "project")
    folder = tmp_path / "project"
    for line in ("user.name tests", "user.email tests@localhost"):
        git(folder, "config", *line.split())
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text(
        f"[core]\n    remote = disk\n['remote \"disk\"']\n    url = {tmp_path / 'remote'}\n"
    )
    (folder / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
    (folder / "params.yaml").write_text("x: 0\n")
    (folder / "requirements.txt").write_text("dvc==0\n")
    (folder / "dvc.yaml").write_text(
        "stages:\n  double:\n    cmd: sh double.sh\n    params: [x]\n    deps: [double.sh]\n    outs: [out.txt]\n"
    )
    (folder / "double.sh").write_text('echo ran >> "$TRACE"; sleep ${SLEEP:-0}; cat params.yaml > out.txt\n')
    (folder / ".gitignore").write_text("/out.txt\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "project")
    git(folder, "push", "-q", "origin", "HEAD:main")
    monkeypatch.setenv("FINSCALE_NODE", str(tmp_path / "node"))
    monkeypatch.setattr(head, "COLLECTED", ["out.txt"])  # it has no training
    monkeypatch.chdir(folder)
    return folder


def test_a_head_that_nodes_could_not_follow_is_told_what_to_do(project: Path) -> None:
    node = head.at_node()
    assert node.origin == str(project.parent / "origin.git")
    assert node.remote == ("disk", str(project.parent / "remote"))
    (project / "results.csv").write_text("what commands write is no matter")
    (project / "params.yaml").write_text("x: 1\n")
    with pytest.raises(InputError, match=r"nodes run the commit .* params.yaml here differ from it: commit, push"):
        head.at_node()
    git(project, "commit", "-qam", "x")
    with pytest.raises(InputError, match=r"origin.git, which has no branch with the commit .*: `git push` it"):
        head.at_node()
    git(project, "push", "-q", "origin", "HEAD:main")
    git(project, "remote", "remove", "origin")
    with pytest.raises(InputError, match="nodes clone the git remote origin, and here is none"):
        head.at_node()


@pytest.mark.slow  # 20 s
def test_a_node_delivers_once_mends_a_stale_clone_and_waits_for_an_origin_that_is_away(project: Path) -> None:
    trace, origin = project.parent / "trace", project.parent / "origin.git"
    environment = {"TRACE": str(trace)}

    def run(name: str, x: int) -> Done:
        return head.at_node()(name, command_of(Run(name, {"x": x}, "double")), environment)

    first = run("one", 1)
    assert first["ok"], first["log"]
    assert first["reference"] in git(origin, "for-each-ref", "--format=%(refname)")
    assert run("one", 1)["reference"] == first["reference"]
    assert trace.read_text().count("ran") == 1  # origin had it

    [clone] = (project.parent / "node").glob("*-*")
    (clone / "params.yaml").write_text("x: 100\n")  # somebody has worked in it
    git(clone, "checkout", "-q", "--force", "--orphan", "elsewhere")
    node = head.at_node()
    origin.rename(project.parent / "away.git")
    back = threading.Timer(1.5, lambda: (project.parent / "away.git").rename(origin))
    back.start()
    second = node("two", command_of(Run("two", {"x": 2}, "double")), environment)
    assert second["ok"], second["log"]
    origin.rename(project.parent / "away.git")
    back = threading.Timer(1.5, lambda: (project.parent / "away.git").rename(origin))
    back.start()
    head.bring_home(second["reference"])
    assert "x: 2" in git(project, "show", f"{second['reference']}:params.yaml")
    head.pack_references()
    assert not [path for path in (project / ".git/refs/exps").rglob("*") if path.is_file()]

    git(origin, "update-ref", "-d", second["reference"])  # as if the worker had died before it could deliver
    assert run("two", 2)["reference"] == second["reference"]
    assert trace.read_text().count("ran") == 2

    node.patience = 0
    (project.parent / "remote").rename(project.parent / "unmounted")
    gone = node("three", command_of(Run("three", {"x": 3}, "double")), environment)
    assert f"has no folder {project.parent / 'remote'}, the DVC remote: mount it there" in gone["log"]
    (project.parent / "unmounted").rename(project.parent / "remote")
    origin.rename(project.parent / "gone.git")
    gone = node("three", command_of(Run("three", {"x": 3}, "double")), environment)
    assert not gone["ok"]
    assert "error: `git ls-remote origin` failed for 0 s" in gone["log"]


@pytest.mark.slow  # 15 s
def test_what_a_killed_worker_leaves_at_work_is_waited_for_and_delivered(project: Path) -> None:
    trace = project.parent / "trace"
    environment = {"TRACE": str(trace), "SLEEP": "5"}
    asked = ("one", command_of(Run("one", {"x": 1}, "double")), environment)
    (project.parent / "sent").write_bytes(pickle.dumps((Portable(head.at_node(), 1), asked)))
    there = "import pickle; node, asked = pickle.load(open('sent', 'rb')); node(*asked)"
    with subprocess.Popen([sys.executable, "-c", there], cwd=project.parent) as worker:
        while not trace.exists():
            time.sleep(0.1)
            assert worker.poll() is None
        worker.kill()  # alone: its dvc goes on
    done = head.at_node()(*asked)
    assert done["ok"], done["log"]
    assert trace.read_text().count("ran") == 1
    assert done["reference"] in git(project.parent / "origin.git", "for-each-ref", "--format=%(refname)")


@pytest.mark.slow  # 15 s
def test_a_job_of_submitit_that_is_preempted_is_queued_again_and_delivers_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit", reason="needs submitit: pip install -r requirements-cluster.txt")
    from study.cluster.slurm import submitit_executor

    trace = project.parent / "trace"
    environment = {"TRACE": str(trace), "SLEEP": "6"}
    node = head.at_node()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with submitit_executor("local", project.parent / "jobs", {"timeout_min": 5}, 2) as executor:
        runs = [(name, command_of(Run(name, {"x": x}, "double")), environment) for x, name in enumerate("ab", 1)]
        first, second = (executor.submit(Portable(node, 1), *run) for run in runs)
        while not trace.exists() or trace.read_text().count("ran") < 2:
            time.sleep(0.1)
            assert not first.done(), first.result()
        job = next(job for job, future in executor._running if future is first)
        [task] = psutil.Process(job._process.pid).children()
        task.send_signal(signal.SIGUSR2)  # as SLURM does; submitit's own local controller does not pass it on
        assert first.result(120)["ok"], first.result()["log"]
        assert second.result(120)["ok"], second.result()["log"]
    assert trace.read_text().count("ran") == 3
    assert len(git(project.parent / "origin.git", "for-each-ref", "refs/exps").splitlines()) == 2
