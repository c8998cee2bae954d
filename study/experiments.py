"""Finished experiments, read from DVC's own git references.

An experiment that DVC has finished is a commit under refs/exps whose tree holds its parameters, code, lock file
and results. Nothing has to be checked out, and experiments of other baseline commits are found too.
"""

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from finscale.errors import InputError
from finscale.imports import import_closure
from finscale.scaling.ledger import experiment_key, make_row
from finscale.scaling.settings import Settings, digest_of, settings_of

# The stages whose code, parameters and data decide a result; what follows only draws it.
RESULT_STAGES = ("configure", "download", "validate", "resample", "align", "features", "label", "dataset",
                 "baselines", "tune", "train", "predict", "calibrate", "evaluate")  # fmt: skip

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
    lock = yaml.safe_load(read("dvc.lock") or "{}") or {}
    outs = lock.get("stages", {}).get("download", {}).get("outs", [])
    return next((str(out["md5"]) for out in outs if out["path"] == "data/raw"), "")


def params_with(settings: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml with these values in place of its own. settings: axes, and dotted keys for what lies deeper.

    Raises InputError for a dotted key whose block is not there.
    """
    params: dict[str, Any] = yaml.safe_load(read_workspace("params.yaml") or "{}")
    for name, value in settings.items():
        *blocks, key = name.split(".")
        inner = params
        for block in blocks:
            if not isinstance(inner.get(block), dict):
                raise InputError(f"params.yaml has no block {block!r}, which the setting {name}={value} names")
            inner = inner[block]
        inner[key] = value
    return params


def planned_keys(settings: Mapping[str, Any], code: str, data: list[str]) -> list[str]:
    """The keys that an experiment with these settings would have if it ran from the working tree now.

    settings: as of params_with. One key per hash in `data`: which raw data an experiment will read is known once it has
    been downloaded.
    """
    params = params_with(settings)
    return [experiment_key(params, code, one) for one in data]


def finished() -> tuple[list[dict[str, Any]], dict[str, Settings]]:
    """One ledger row per finished experiment that recorded a result, and the settings by the digest in the rows."""
    found = [one for name, commit in commits_of() if (one := _row(name, commit))]
    return [row for row, _ in found], {row["settings"]: settings for row, settings in found}


def commits_of() -> Iterator[tuple[str, str]]:
    """(name, commit) of every finished experiment."""
    for line in _git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").splitlines():
        commit, _, reference = line.partition(" ")
        if match := _FINISHED.fullmatch(reference):
            yield match[2], commit


@cache
def _row(name: str, commit: str) -> tuple[dict[str, Any], Settings] | None:
    """Read once per process: a commit never changes, and `phase` collects after each of hundreds of runs."""
    read = read_commit(commit)
    experiment, runtime = read("metrics/experiment.json"), read("metrics/runtime.json")
    if experiment is None or runtime is None:
        return None
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
    return row, settings


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
