"""A study: trials that several processes share, and that survive the processes.

On one machine the study is a journal file, and a trial belongs to a process through a file lock that dies with it.
On many it is a database, with heartbeats. A trial whose process has died is failed and queued again with the same
values; the failed one is not counted. With one process an interrupted study ends as an uninterrupted one.
"""

import fcntl
import hashlib
import json
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import optuna
from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from finscale.errors import InputError
from finscale.search.config import TuneConfig
from finscale.search.objective import Objective
from finscale.training.interrupt import RunStoppedError

_MOST_RETRIES = 3  # a trial that kills its process that often is given up
_MOST_UNBUILDABLE = 300
_POLL_SECONDS = 0.2


@contextmanager
def _heartbeats_are_experimental() -> Iterator[None]:
    """Optuna is pinned: that a later version may change them is no news for the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a failed trial again, with the values that it has drawn."""
    with _heartbeats_are_experimental():
        RetryHeartbeatStaleTrialCallback(max_retry=_MOST_RETRIES)(study, trial)


def create_study(name: str, folder: Path, config: TuneConfig, url: str | None = None) -> optuna.Study:
    """Open the study, or create it: in a database where a URL is given, else in <folder>/journal.log.

    Raises InputError where the database cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruning = config.pruning
    pruner = optuna.pruners.MedianPruner(n_startup_trials=pruning.finished_trials, n_warmup_steps=pruning.after_epochs)
    try:
        storage = _database(url, config.heartbeat_seconds) if url else _journal(folder)
        return optuna.create_study(
            study_name=name, storage=storage, pruner=pruner, direction="minimize", load_if_exists=True
        )
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        if url:
            raise
        raise InputError(f"{folder / 'journal.log'} cannot be read ({error!r}); {_begin_anew(folder)}") from None


def _journal(folder: Path) -> JournalStorage:
    folder.mkdir(parents=True, exist_ok=True)
    journal, lock = folder / "journal.log", JournalLock(folder / "journal.lock")
    mend_journal(journal, lock)
    # The lock's interface is private in Optuna.
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=cast(Any, lock)))


def mend_journal(journal: Path, lock: "JournalLock") -> None:
    """Take away the half line that a killed process or a full disk has left at the end: nobody could go on after it.

    Raises InputError for a line before the last one that is no JSON, with the way out.
    """
    if not journal.exists():
        return
    lock.acquire()  # nobody else is writing a line now
    try:
        lines = journal.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        for number, line in enumerate(whole, start=1):
            if not _is_entry(line):
                raise InputError(
                    f"{journal}, line {number}: no entry of a study; `sed -i '{number},$d' {journal}` keeps the trials "
                    f"before it, or {_begin_anew(journal.parent)}"
                )
        if len(whole) < len(lines):
            os.truncate(journal, sum(map(len, whole)))
            print(
                f"tune: {journal} ended in half a line, which was taken away; what it told is tried again", flush=True
            )
    finally:
        lock.release()


def _is_entry(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _begin_anew(folder: Path) -> str:
    return f"`rm -r {folder}` begins the search anew"


def _database(url: str, heartbeat_seconds: int) -> RDBStorage:
    try:
        with _heartbeats_are_experimental():
            return RDBStorage(
                url, heartbeat_interval=heartbeat_seconds, grace_period=3 * heartbeat_seconds,
                heartbeat_stale_trial_callback=_retry,
            )  # fmt: skip
    except (ImportError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        where = url.rpartition("@")[2]  # without user and password
        raise InputError(f"tune.storage: no study can be kept in {where}: {error}") from None


class JournalLock:
    """Optuna's own locks outlive a killed process by 30 s, in which everybody waits; this one ends with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        self._file = self._path.open("a", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        if self._file:
            self._file.close()


class Worker:
    """One process's part of a study."""

    def __init__(
        self, study: optuna.Study, objective: Objective, config: TuneConfig, folder: Path, heartbeats: bool
    ) -> None:
        self._study, self._objective, self._config, self._folder = study, objective, config, folder
        (folder / "workers").mkdir(parents=True, exist_ok=True)
        self._name = uuid.uuid4().hex
        self._alive = self._lock_file(self._name).open(
            "a", encoding="utf-8"
        )  # held until this process ends, however it ends
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._heartbeats = heartbeats  # they tell who is alive; else the file locks do

    def run_one(self) -> bool:
        """Start and finish one trial; False where none is to be started now."""
        with _locked(self._folder / "study.lock", self._study) as release:
            if self._heartbeats:
                _fail_stale(self._study)
            else:
                self._retry_dead()
            if not self._wanted():
                return False
            self._study.sampler = self._sampler()
            number: list[int] = []

            def objective(trial: optuna.Trial) -> float:
                number.append(trial.number)
                trial.set_user_attr("retried", "worker" in trial.user_attrs)
                trial.set_user_attr("worker", self._name)
                values = self._objective.space.sample(trial)
                release()  # others may start trials while this one trains
                return self._objective.evaluate(trial, values)

            try:
                with _heartbeats_are_experimental():
                    self._study.optimize(objective, n_trials=1)
            except RunStoppedError:
                _retry(self._study, self._study.trials[number[0]])
                raise
        return True

    def close(self) -> None:
        self._alive.close()
        self._lock_file(self._name).unlink(missing_ok=True)

    def _wanted(self) -> bool:
        """Whether another trial is to be started. Those under way may all succeed, so they count here."""
        trials = self._study.get_trials(deepcopy=False)
        states = [trial.state for trial in trials]
        unbuildable = sum("unbuildable" in trial.user_attrs for trial in trials)
        if unbuildable >= _MOST_UNBUILDABLE and TrialState.COMPLETE not in states:
            example = next(trial for trial in trials if "unbuildable" in trial.user_attrs)
            raise InputError(
                f"tune.space = {self._config.space}: of {len(trials)} trials none could be trained; for example "
                f"{example.params}: {example.user_attrs['unbuildable']}. Widen the space or change the budget"
            )
        return states.count(TrialState.COMPLETE) + states.count(TrialState.RUNNING) < self._config.trials

    def _sampler(self) -> optuna.samplers.BaseSampler:
        """TPE with a seed of its own for every trial, so that a resumed study goes on as if it had never stopped."""
        trials = self._study.get_trials(deepcopy=False)
        fresh = sum(trial.state != TrialState.WAITING and not trial.user_attrs.get("retried") for trial in trials)
        seed = int(np.random.SeedSequence([self._config.seed, fresh]).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def _retry_dead(self) -> None:
        """Queue the trials again whose process is gone."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if self._is_dead(trial):
                print(f"tune: trial {trial.number} lost its process; it is tried again", flush=True)
                self._study.tell(trial.number, state=TrialState.FAIL)
                _retry(self._study, self._study.trials[trial.number])

    def _is_dead(self, trial: FrozenTrial) -> bool:
        name = trial.user_attrs.get("worker")
        if name is None:
            return True  # its process died between creating and claiming it: here the study's lock is held
        try:
            with self._lock_file(name).open(encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True

    def _lock_file(self, name: str) -> Path:
        return self._folder / "workers" / f"{name}.lock"


def _fail_stale(study: optuna.Study) -> None:
    with _heartbeats_are_experimental():
        optuna.storages.fail_stale_trials(study)


@contextmanager
def _locked(path: Path, study: optuna.Study) -> Iterator[Callable[[], None]]:
    """A lock among all processes of a study, which ends with its process; what is yielded releases it early.

    A file's among those of one machine, and where machines share PostgreSQL an advisory lock there, without which each
    machine could start the last trial. Other databases have none that SQLAlchemy knows: there may be a trial too many.
    """
    with ExitStack() as held:
        file = held.enter_context(path.open("a", encoding="utf-8"))
        fcntl.flock(file, fcntl.LOCK_EX)
        backend = getattr(study._storage, "_backend", None)  # of Optuna's cache over a database
        if isinstance(backend, RDBStorage) and backend.engine.dialect.name == "postgresql":
            number = int.from_bytes(hashlib.sha256(study.study_name.encode()).digest()[:8], signed=True)
            # A connection of its own: closed, by whatever, it gives the lock back.
            connection = held.enter_context(backend.engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
            held.callback(connection.execute, text("SELECT pg_advisory_unlock(:number)"), {"number": number})
        yield held.close


def completed(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def run_hpo(
    study: optuna.Study, objective: Objective, config: TuneConfig, folder: Path, heartbeats: bool = False
) -> None:
    """Run trials until `config.trials` are complete over all processes and starts, or until time is over.

    folder: locks of this machine's processes, and the journal. heartbeats: the study lives in a database.
    Raises RunStoppedError where a signal or the temperature ends the search; what has been tried is kept, and the
    trial under way goes on from its saved state at the next start.
    """
    deadline = time.monotonic() + config.time_limit_hours * 3600
    worker = Worker(study, objective, config, folder, heartbeats)
    try:
        while len(completed(study)) < config.trials and time.monotonic() < deadline:
            _check_stop(study, objective, config)
            if not worker.run_one():
                time.sleep(_POLL_SECONDS)
    finally:
        worker.close()


def _check_stop(study: optuna.Study, objective: Objective, config: TuneConfig) -> None:
    reason = f"stopped by {objective.stop.signal}" if objective.stop else None
    if objective.guard and objective.guard.check(objective.stop) == "stop":
        reason = f"stopped at {objective.guard.temperature:.0f} °C (train.thermal.critical)"
    if reason:
        raise RunStoppedError(
            f"tune: {reason} with {len(completed(study))} of {config.trials} trials complete; the study is saved, "
            "`dvc repro tune` goes on from there"
        )


def storage_url(config: TuneConfig, environment: dict[str, str]) -> str | None:
    """The database that machines share: $FINSCALE_STUDIES (it may hold a password), else tune.storage."""
    return environment.get("FINSCALE_STUDIES") or config.storage
