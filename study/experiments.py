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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from finscale.config import flat, parse_yaml
from finscale.errors import InputError
from finscale.imports import PROJECT_PACKAGES, as_text, import_closure
from finscale.scaling.epochs import epochs_table
from finscale.scaling.ledger import experiment_key, make_row
from finscale.scaling.schema import check_row
from finscale.scaling.settings import AUTO, Settings, digest_of, settings_of
from study.pinned import locked, read_held_folder, read_pinned
from study.programs import git, git_bytes
from study.provenance import DRAWING, Read, why_not

# The stages whose code, parameters and data decide a result; what follows only draws it.
RESULT_STAGES = ("configure", "download", "validate", "resample", "align", "features", "label", "dataset",
                 "baselines", "tune", "train", "predict", "evaluate")  # fmt: skip

RUNTIME = "models/runtime.json"

DAILY = "metrics/daily_losses.parquet"
DAILY_UNSEEN = "metrics/daily_losses_unseen.parquet"
LOG = "dvclive"
_LOSSES = ("plots/metrics/train/loss.tsv", "plots/metrics/validation/loss.tsv")
_WINDOWS = "plots/metrics/windows_seen.tsv"  # which older runs did not log
_EVERYTHING = "stages/everything.py"
_FINISHED = re.compile(r"refs/exps/[0-9a-f]{2}/([0-9a-f]{38})/(.+)")

# What files of any age, cut short or written by hand raise: JSON and YAML, a key or type other than today's, Python.
_UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, SyntaxError, yaml.YAMLError)

# What `auto` came to in the first runs: their keys have the word.
_FIRST = {"device": "cpu", "precision": "bf16"}

Files = Mapping[str, str]

_code_of_trees: dict[str, str] = {}


def read_workspace(path: str) -> str | None:
    """A file of the working tree."""
    return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else None


def read_commit(commit: str) -> Files:
    """The texts of one commit by path, fetched at once: a process per file would take minutes."""
    # As committed: with core.autocrlf git would convert line ends, and one commit would have two code hashes.
    packed = git_bytes("-c", "core.autocrlf=false", "-c", "core.eol=lf", "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers() if _is_text(member)}
        return {name: as_text(file.read()) for name, file in files.items() if file}


def _is_text(member: tarfile.TarInfo) -> bool:
    inside = member.name.startswith(tuple(f"{package}/" for package in PROJECT_PACKAGES))
    return member.isfile() and (inside or member.name.endswith((".json", ".yaml", ".lock", ".md5")))


def code_hash(sources: Files) -> str:
    """Hash of every project file that the result stages execute or read.

    What draws decides no result, and what is imported for drawing alone does not either.
    """
    # One module that imports them all: their closures overlap, and each file is parsed once.
    everything = "\n".join(f"import stages.{stage}" for stage in RESULT_STAGES)
    deciding = {path: text for path, text in sources.items() if not path.startswith(DRAWING)}
    files = import_closure("stages.everything", {**deciding, _EVERYTHING: everything})
    decisive = {path: text for path, text in files.items() if path != _EVERYTHING}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def data_hash(lock: str | None) -> str:
    """The identity of the raw data. lock: the text of dvc.lock."""
    return locked(lock, "download", "data/raw")


def params_with(settings: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml with these values in place of its own. settings: axes, and dotted keys for what lies deeper.

    Raises InputError for a dotted key whose block is not there.
    """
    return overlaid(_parsed(read_workspace("params.yaml") or "{}"), settings)


@cache
def _parsed(text: str) -> dict[str, Any]:
    """YAML, parsed once: a phase asks for hundreds of variants of one file."""
    told: dict[str, Any] = parse_yaml(text)
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


def read_file(commit: str, path: str) -> str | None:
    """A text of a commit, None where it has none."""
    content = _bytes(commit, path)
    return None if content is None else as_text(content)


@cache
def committed_params(commit: str = "HEAD") -> dict[str, Any]:
    """params.yaml as a commit has it. Raises InputError where there is no such commit or file here."""
    told: dict[str, Any] = parse_yaml(git("show", f"{commit}:params.yaml"))
    return told


def key_params(params: Mapping[str, Any], compute: Mapping[str, Any], read: Read) -> dict[str, Any]:
    """The params.yaml that a key is made of: this one, with what decides a result and stands elsewhere.

    `auto` gives way to the device and precision that it came to, unless these are _FIRST, by which no key changes. A
    run that takes a search's result depends on what was searched: the MD5 of the space's file. read: files beside it.
    """
    now = flat(params)
    came = {f"train.{name}": str(compute[name]) for name in _FIRST if str(compute[name]) != _FIRST[name]}
    auto = {key: value for key, value in came.items() if now.get(key) == AUTO}
    return overlaid(params, auto | space_of(params, read))


def space_of(params: Mapping[str, Any], read: Read) -> Settings:
    """{'tune.space_md5': ...} where training takes a search's result, else nothing."""
    now = flat(params)
    if not now.get("train.from_tune"):
        return {}
    text = read(f"search_spaces/{now['tune.space']}.yaml") or ""
    return {"tune.space_md5": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}


def _compute_here(train: Mapping[str, Any]) -> dict[str, str]:
    """Device and precision that a run would have on this machine. Raises InputError for a device that is not there."""
    if AUTO not in (train["device"], train["precision"]):
        return {"device": train["device"], "precision": train["precision"]}
    from finscale.training.device import choose_compute  # torch takes seconds, and few commands plan

    chosen = choose_compute(train["device"], train["precision"], train["threads"])
    return {"device": chosen.device.type, "precision": chosen.precision}


def planned_keys(settings: Mapping[str, Any], code: str, data: list[str]) -> list[str]:
    """The keys that an experiment with these settings would have if it ran from the working tree now.

    settings: as of params_with. One key per hash in `data`: which raw data an experiment will read is known once it has
    been downloaded.
    """
    params = params_with(settings)
    params = key_params(params, _compute_here(params["train"]), read_workspace)
    return [experiment_key(params, code, one) for one in data]


@dataclass(frozen=True)
class Finished:
    """What one experiment leaves to the ledger. left_out: why its result is none of its own; then it leaves nothing."""

    name: str
    commit: str
    row: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    daily: bytes | None = None  # metrics/daily_losses.parquet, which older code did not write
    unseen: bytes | None = None  # the same of the second test, where there was one
    epochs: pd.DataFrame | None = None  # losses by epoch, where this machine's DVC cache holds the training's log
    left_out: str = ""


def finished() -> list[Finished]:
    """Every finished experiment that holds a result."""
    found = []
    for name, commit in commits_of():
        try:
            found += [one] if (one := _finished(name, commit)) else []
        except InputError as error:  # one that cannot be read holds up no other
            found.append(Finished(name, commit, left_out=str(error)))
        except _UNREADABLE as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())
            found.append(Finished(name, commit, left_out=f"its files cannot be read ({words}); run it again"))
    return found


def commits_of() -> Iterator[tuple[str, str]]:
    """(name, commit) of every finished experiment."""
    for line in git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").splitlines():
        commit, _, reference = line.partition(" ")
        if match := _FINISHED.fullmatch(reference):
            yield match[2], commit


@cache
def _finished(name: str, commit: str) -> Finished | None:
    """Read once per process: a commit never changes, and `phase` collects after each of hundreds of runs."""
    files = read_commit(commit)
    experiment = files.get("metrics/experiment.json")
    if experiment is None:
        return None
    if said := why_not(files.get):
        return Finished(name, commit, left_out=said)
    # Experiments of one code version share their trees: the closure is taken once for all of them.
    trees = git("rev-parse", f"{commit}:finscale", f"{commit}:stages")
    if trees not in _code_of_trees:
        _code_of_trees[trees] = code_hash(files)
    code, data = _code_of_trees[trees], data_hash(files.get("dvc.lock"))
    params = parse_yaml(files["params.yaml"])
    told, space = json.loads(experiment), space_of(params, files.get)
    settings = settings_of(params) | space
    baseline, timestamp = git("log", "-1", "--format=%P %cI", commit).split()
    provenance = {"name": name, "commit": baseline[:12], "code": code, "data": data, "timestamp": timestamp}
    provenance |= {"settings": digest_of(settings)}
    runtime = _runtime(name, commit, files)
    key = experiment_key(key_params(params, told["compute"], files.get), code, data)
    row = make_row(key, provenance, told, runtime)
    try:
        check_row({column: "" if value is None else str(value) for column, value in row.items()})
    except ValueError as error:
        return Finished(name, commit, left_out=f"its row is none: {error}")
    unseen = _bytes(commit, DAILY_UNSEEN) if "unseen_rows" in row else None
    return Finished(name, commit, row, settings, _bytes(commit, DAILY), unseen, _epochs(files.get("dvc.lock")))


def _bytes(commit: str, path: str) -> bytes | None:
    """A file of a commit as it is, None where it has none."""
    shown = subprocess.run(["git", "cat-file", "blob", f"{commit}:{path}"], capture_output=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


def _epochs(lock: str | None) -> pd.DataFrame | None:
    """The losses by epoch that the training logged; None where this machine does not have them: nothing is fetched."""
    md5 = locked(lock, "train", LOG)
    logged = read_held_folder(md5, (*_LOSSES, _WINDOWS)) or read_held_folder(md5, _LOSSES)
    return None if logged is None else epochs_table(*logged)


def _runtime(name: str, commit: str, files: Files) -> dict[str, Any]:
    """What training measured: in DVC's cache, or in the commit itself where that is of before November 2026."""
    if (told := files.get("metrics/runtime.json")) is None:
        told = read_pinned(commit, RUNTIME, locked(files.get("dvc.lock"), "train", RUNTIME), name).decode()
    runtime: dict[str, Any] = json.loads(told)
    return runtime
