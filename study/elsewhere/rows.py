"""The rows that experiments train and predict on, as this repository makes them: run through DVC, then read

Pack and take ask the same question with the same answer: `pack` copies the rows, `take` sees whether they are still the
same, so that nothing is judged by days that it did not predict.
"""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem

from finscale.config import read_yaml
from finscale.errors import InputError
from study.elsewhere.labels import take_out_known_labels
from study.elsewhere.lists import Settings
from study.experiments import commits_of
from study.programs import git
from study.workers import LOGS, Run, reasons, work_off

INPUTS = ("development.parquet", "development_folds", "test.parquet", "test_folds", "folds.csv")
PROCESSED = Path("data/processed")
LAST = "dataset"
ROWS_OF = "rows-"  # names the experiments that are run up to there, and forgotten


def group_of(settings: Settings) -> str:
    """The name of an experiment's rows: a digest of the settings whose block some stage up to `dataset` reads."""
    stages = read_yaml(Path("dvc.yaml"))["stages"]
    names = list(stages)
    read = {key for name in names[: names.index(LAST) + 1] for key in stages[name].get("params", [])}
    return digest_of({key: value for key, value in settings.items() if key.split(".")[0] in read})


def make_rows(asked: list[Settings], folder: Path) -> None:
    """folder/<group>/data/processed/, the rows of these experiments. Raises InputError where they cannot be made."""
    groups = {group_of(settings): settings for settings in asked}
    _forget(groups)
    try:
        runs = [Run(f"{ROWS_OF}{group}", settings, LAST) for group, settings in groups.items()]
        with ThreadPoolExecutor(1) as pool:
            failed = work_off(runs, pool, lambda _: None)
        if failed:
            raise InputError(f"the rows cannot be prepared; {LOGS} has the logs\n{reasons(failed)}")
        commits = dict(commits_of())
        for group in groups:
            _fetch(commits[f"{ROWS_OF}{group}"], folder / group)
    finally:
        _forget(groups)


def digests_of(folder: Path) -> dict[str, str]:
    """{path in the folder: SHA-256} of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _fetch(commit: str, folder: Path) -> None:
    """The rows that an experiment left in DVC's cache."""
    files = DVCFileSystem(".", rev=commit)
    (folder / PROCESSED).mkdir(parents=True)
    for name in INPUTS:
        files.get(f"{PROCESSED.as_posix()}/{name}", str(folder / PROCESSED / name), recursive=True)
    take_out_known_labels(folder / PROCESSED)


def _forget(groups: Iterable[str]) -> None:
    """Remove the experiments that were made for their rows alone, of whatever commit: names repeat over commits."""
    endings = tuple(f"/{ROWS_OF}{group}" for group in groups)
    for reference in git("for-each-ref", "refs/exps", "--format=%(refname)").splitlines():
        if reference.endswith(endings):
            git("update-ref", "-d", reference)
