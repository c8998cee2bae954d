"""Where a phase's runs happen, by the word after --on. A new kind of executor is a line in open_place."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import yaml

from finscale.errors import InputError
from study.cluster.head import at_node, bring_home
from study.cluster.portable import Portable
from study.workers import LOGS, Done, Task, run_here


@dataclass(frozen=True)
class Place:
    """An executor, what it is given to do, and whether results have to be fetched."""

    executor: Executor
    task: Task
    away: bool

    def fetch(self, done: Done) -> None:
        """Bring a finished run home, where it was finished elsewhere."""
        if self.away and (reference := done.get("reference")):
            bring_home(reference)


@contextmanager
def open_place(on: str, jobs: int, needs: dict[str, Any]) -> Iterator[Place]:
    """on: '' for threads here, a scheduler's address for dask.distributed, `slurm`, or `local` to try submitit.

    Raises InputError where it cannot be used.
    """
    if not on:
        if needs:
            raise InputError(f"--with {' '.join(needs)}: of nodes; say which with --on")
        with ThreadPoolExecutor(jobs) as threads:
            yield Place(threads, run_here, away=False)
        return
    check_installed("submitit" if on in ("slurm", "local") else "distributed", on)
    node = at_node()
    task = Portable(node, (node.origin, node.commit))
    if on in ("slurm", "local"):
        from study.cluster.slurm import submitit_executor

        with submitit_executor(on, LOGS / "jobs", needs, jobs if on == "local" else None) as array:
            yield Place(array, task, away=True)
    else:
        from study.cluster.dask_nodes import dask_executor

        with dask_executor(on, needs, node) as cluster:
            yield Place(cluster, task, away=True)


def check_installed(package: str, on: str) -> None:
    if find_spec(package) is None:
        raise InputError(f"--on {on} needs {package}: pip install -r requirements-cluster.txt")


def parse_needs(words: list[str]) -> dict[str, Any]:
    """['GPU=1', 'slurm_partition=gpu'] -> {name: value}, values as YAML reads them."""
    if wrong := [word for word in words if not all(word.partition("="))]:
        raise InputError(f"--with takes NAME=VALUE, not {wrong}")
    return {name: yaml.safe_load(value) for name, _, value in (word.partition("=") for word in words)}
