"""SLURM through submitit as an executor: job arrays, and jobs that go back into the queue when they are preempted."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from finscale.errors import InputError

_GATHER_SECONDS = 0.5  # what is submitted within this time of each other becomes one array

Waiting = tuple[Callable[..., Any], tuple[Any, ...], Future]


class SubmititExecutor(Executor):
    """submitit's executor as concurrent.futures knows one.

    most: how many jobs are out at a time; None: all, and `slurm_array_parallelism` says how many run.
    """

    def __init__(self, jobs: Any, most: int | None = None, poll_seconds: float = 2.0) -> None:
        self._jobs, self._most, self._poll = jobs, most, poll_seconds
        self._waiting: list[Waiting] = []
        self._running: list[tuple[Any, Future]] = []
        self._last = 0.0
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        if kwargs:
            raise TypeError("arguments by position only")
        future: Future = Future()
        with self._changed:
            if self._over:
                raise RuntimeError("cannot submit after shutdown")
            self._waiting.append((fn, args, future))
            self._last = time.monotonic()
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._changed:
            self._over = True
            if cancel_futures:
                for *_, future in self._waiting:
                    future.cancel()
                for job, _ in self._running:
                    job.cancel()
            self._changed.notify()
        if wait:
            self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._drop_cancelled()
                if self._over and not self._waiting and not self._running:
                    return
                gathering = self._waiting and time.monotonic() - self._last < _GATHER_SECONDS
                self._changed.wait(_GATHER_SECONDS if gathering else self._poll)
                if self._waiting and time.monotonic() - self._last >= _GATHER_SECONDS:
                    self._send()
            self._look()

    def _drop_cancelled(self) -> None:
        self._waiting = [one for one in self._waiting if not one[2].cancelled()]

    def _send(self) -> None:
        """Submit as many as may be out, as one array. A refusal of the scheduler is the futures' exception."""
        room = len(self._waiting) if self._most is None else self._most - len(self._running)
        batch = [one for one in self._waiting[: max(0, room)] if one[2].set_running_or_notify_cancel()]
        self._waiting = self._waiting[max(0, room) :]
        if not batch:
            return
        try:
            with self._jobs.batch():
                jobs = [self._jobs.submit(fn, *args) for fn, args, _ in batch]
        except Exception as error:  # whatever sbatch says reaches those who wait
            for *_, future in batch:
                future.set_exception(error)
            return
        self._running += [(job, future) for job, (*_, future) in zip(jobs, batch, strict=True)]

    def _look(self) -> None:
        for job, future in [one for one in self._running if one[0].done()]:
            try:
                future.set_result(job.result())
            except Exception as error:  # submitit's own, with the job's last words
                future.set_exception(error)
            self._running.remove((job, future))


def submitit_executor(kind: str, folder: Path, options: dict[str, Any], most: int | None) -> SubmititExecutor:
    """kind: slurm, or local for processes of this machine. options: of submitit, such as timeout_min, slurm_partition.

    Raises InputError where there is no SLURM, or for an option that submitit does not know.
    """
    import submitit

    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=kind, slurm_max_num_timeout=100)
        executor.update_parameters(**({"name": "finscale", "timeout_min": 240} | options))
    except (RuntimeError, NameError, TypeError, AssertionError) as error:
        raise InputError(f"--on {kind}: {error}") from None
    return SubmititExecutor(executor, most, poll_seconds=10.0 if kind == "slurm" else 0.5)
