"""Finished experiments, read from DVC's own git references.

An experiment that DVC has finished is a commit under refs/exps whose tree holds its parameters, code, lock file
and results. Nothing has to be checked out, and experiments of other baseline commits are found too.
"""

import copy
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from finscale.errors import InputError
from finscale.imports import import_closure
from finscale.scaling.ledger import experiment_key, make_row
from finscale.scaling.schema import check_row
from finscale.scaling.settings import Settings, digest_of, settings_of
from study.provenance import read_lock, why_not

# The stages whose code, parameters and data decide a result; what follows only draws it.
RESULT_STAGES = ("configure", "download", "validate", "resample", "align", "features", "label", "dataset",
                 "tune", "train", "calibrate", "evaluate")  # fmt: skip

DAILY = "metrics/daily_losses.parquet"
_EVERYTHING = "stages/everything.py"
_FINISHED = re.compile(r"refs/exps/[0-9a-f]{2}/([0-9a-f]{38})/(.+)")

Read = Callable[[str], str | None]

_code_of_trees: dict[str, str] = {}


def read_workspace(path: str) -> str | None:
    """A file of the working tree."""
    return Path(path).read_text() if Path(path).is_file() else None


def read_commit(commit: str) -> Read:
    """A reader of the files of one commit, which are fetched at once: a process per file would take minutes."""
    packed = subprocess.run(["git", "archive", "--format=tar", commit], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        wanted = (".py", ".json", ".yaml", ".lock")
        texts = {name: file.read().decode() for name, file in files.items() if file and name.endswith(wanted)}
    return texts.get


def code_hash(read: Read) -> str:
    """Hash of every project file that the result stages execute."""
    # One module that imports them all: their closures overlap, and each file is parsed once.
    everything = "\n".join(f"import stages.{stage}" for stage in RESULT_STAGES)
    files = import_closure("stages.everything", lambda path: everything if path == _EVERYTHING else read(path))
    del files[_EVERYTHING]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def data_hash(read: Read) -> str:
    """DVC's hash of data/raw, as the lock file records it; empty before the first run."""
    outs = read_lock(read).get("download", {}).get("outs", [])
    return next((str(out["md5"]) for out in outs if out["path"] == "data/raw"), "")


def params_with(settings: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml with these values in place of its own. settings: axes, and dotted keys for what lies deeper.

    Raises InputError for a dotted key whose block is not there.
    """
    return overlaid(_parsed(read_workspace("params.yaml") or "{}"), settings)


@cache
def _parsed(text: str) -> dict[str, Any]:
    """YAML, parsed once: a phase asks for hundreds of variants of one file."""
    told: dict[str, Any] = yaml.safe_load(text)
    return told


def overlaid(params: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A params.yaml's values with these in place of its own; as of params_with."""
    told: dict[str, Any] = copy.deepcopy(dict(params))
    for name, value in settings.items():
        *blocks, key = name.split(".")
        inner = told
        for block in blocks:
            if not isinstance(inner.get(block), dict):
                raise InputError(f"params.yaml has no block {block!r}, which the setting {name}={value} names")
            inner = inner[block]
        inner[key] = value
    return told


@cache
def committed_params(commit: str = "HEAD") -> dict[str, Any]:
    """params.yaml as a commit has it. Raises CalledProcessError where there is no such commit or file here."""
    told: dict[str, Any] = yaml.safe_load(_git("show", f"{commit}:params.yaml"))
    return told


def planned_keys(settings: Mapping[str, Any], code: str, data: list[str]) -> list[str]:
    """The keys that an experiment with these settings would have if it ran from the working tree now.

    settings: as of params_with. One key per hash in `data`: which raw data an experiment will read is known once it has
    been downloaded.
    """
    params = params_with(settings)
    return [experiment_key(params, code, one) for one in data]


@dataclass(frozen=True)
class Finished:
    """What one experiment leaves to the ledger. left_out: why its result is none of its own; then it leaves nothing."""

    name: str
    commit: str
    row: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    daily: bytes | None = None  # metrics/daily_losses.parquet, which older code did not write
    left_out: str = ""


def finished() -> list[Finished]:
    """Every finished experiment that holds a result."""
    return [one for name, commit in commits_of() if (one := _finished(name, commit))]


def commits_of() -> Iterator[tuple[str, str]]:
    """(name, commit) of every finished experiment."""
    for line in _git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").splitlines():
        commit, _, reference = line.partition(" ")
        if match := _FINISHED.fullmatch(reference):
            yield match[2], commit


@cache
def _finished(name: str, commit: str) -> Finished | None:
    """Read once per process: a commit never changes, and `phase` collects after each of hundreds of runs."""
    read = read_commit(commit)
    experiment, runtime = read("metrics/experiment.json"), read("metrics/runtime.json")
    if experiment is None or runtime is None:
        return None
    if said := why_not(read):
        return Finished(name, commit, left_out=said)
    # Experiments of one code version share their trees: the closure is taken once for all of them.
    trees = _git("rev-parse", f"{commit}:finscale", f"{commit}:stages")
    if trees not in _code_of_trees:
        _code_of_trees[trees] = code_hash(read)
    code, data = _code_of_trees[trees], data_hash(read)
    params = yaml.safe_load(read("params.yaml") or "{}")
    settings = settings_of(params)
    baseline, timestamp = _git("log", "-1", "--format=%P %cI", commit).split()
    provenance = {"name": name, "commit": baseline[:12], "code": code, "data": data, "timestamp": timestamp}
    provenance |= {"settings": digest_of(settings)}
    row = make_row(experiment_key(params, code, data), provenance, json.loads(experiment), json.loads(runtime))
    try:
        check_row({column: "" if value is None else str(value) for column, value in row.items()})
    except ValueError as error:
        return Finished(name, commit, left_out=f"its row is none: {error}")
    return Finished(name, commit, row, settings, _bytes(commit, DAILY))


def _bytes(commit: str, path: str) -> bytes | None:
    """A file of a commit as it is, None where it has none."""
    shown = subprocess.run(["git", "cat-file", "blob", f"{commit}:{path}"], capture_output=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
