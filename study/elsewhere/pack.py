"""pack: a list of experiments -> a folder with all that training them needs

Reads  RUN.yaml ...        what to run (read_list)
       the stages up to `dataset`, through DVC: run where their results are not there yet
Writes DIR/pack.json       the runs in their order, and the SHA-256 of every file
       DIR/inputs/<digest>/ rows, shared by experiments that differ in what happens after `dataset`; of the test rows
                           the features alone: no label of a test day leaves this machine
       DIR/runs/<name>.yaml each run's params.yaml
       DIR/code/           the files that stages.train and stages.predict import
       DIR/run.py, DIR/requirements.txt
"""

import hashlib
import json
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from dvc.api import DVCFileSystem

from finscale.config import check_params, read_yaml
from finscale.errors import InputError
from finscale.imports import import_closure, read_sources
from finscale.storage import write_json, write_text
from stages.configure import Params
from study.elsewhere.labels import take_out_known_labels
from study.experiments import commits_of, params_with
from study.workers import LOGS, Run, reasons, work_off

STAGES = ("stages.train", "stages.predict")
INPUTS = ("development.parquet", "development_folds", "test.parquet", "test_folds", "folds.csv")
LAST = "dataset"
PACKAGES = Path("requirements-device.txt")


def read_list(path: Path) -> list[dict[str, Any]]:
    """The experiments of a list, in its order, as settings: axes, and dotted keys for what lies deeper.

        settings: {source: directory, data.end: "2025-12-31"}     # of all
        experiments:
          - {task: direction, budget: [2M, 20M], seed: 0}         # a list is tried value by value, the last one fastest

    Raises InputError for another form.
    """
    told = read_yaml(path)
    if unknown := set(told) - {"settings", "experiments"}:
        raise InputError(f"{path}: {', '.join(sorted(unknown))} is not known; allowed: settings, experiments")
    common, experiments = told.get("settings") or {}, told.get("experiments") or []
    if not isinstance(experiments, list) or not all(isinstance(one, dict) for one in [common, *experiments]):
        raise InputError(f"{path}: `experiments` is a list of `{{axis: value}}` mappings, `settings` one such mapping")
    if not experiments:
        raise InputError(f"{path}: no experiments; write a line `- {{budget: 2M, seed: 0}}` under `experiments:`")
    return [settings for one in experiments for settings in _combinations(common | one)]


def _combinations(settings: dict[str, Any]) -> list[dict[str, Any]]:
    values = [value if isinstance(value, list) else [value] for value in settings.values()]
    return [dict(zip(settings, chosen, strict=True)) for chosen in product(*values)]


def code_of() -> dict[str, str]:
    """{path: text} of what training and predicting import."""
    sources = read_sources()
    return {path: text for stage in STAGES for path, text in import_closure(stage, sources).items()}


def pack(lists: list[Path], folder: Path) -> list[str]:
    """Write the pack; returns the names of its runs. Raises InputError where a list or a setting cannot be used."""
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; give another folder, or remove it")
    asked = [settings for path in lists for settings in read_list(path)]
    params = [_checked(settings) for settings in asked]
    groups = {digest: settings for settings in asked if (digest := _digest(_before_training(settings)))}
    commits = _prepared(groups)
    code = code_of()
    runs = []
    for settings, one in zip(asked, params, strict=True):
        name = f"{one['task']}-{one['budget']}-s{one['seed']}-{_digest([one, code])}"
        inputs, written = f"inputs/{_digest(_before_training(settings))}", f"runs/{name}.yaml"
        write_text(folder / written, yaml.safe_dump(one, sort_keys=False))
        runs.append({"name": name, "settings": settings, "params": written, "inputs": inputs})
    for digest, commit in commits.items():
        _fetch(commit, folder / "inputs" / digest)
    for path, text in code.items():
        write_text(folder / "code" / path, text)
    shutil.copyfile(Path(__file__).with_name("run.py"), folder / "run.py")
    shutil.copyfile(PACKAGES, folder / "requirements.txt")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    # Last: a folder without it is no pack.
    write_json(folder / "pack.json", {"commit": _commit(), "runs": runs, "files": digests})
    return [str(run["name"]) for run in runs]


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    params = params_with(settings)
    checked = check_params(Params, params, Path("params.yaml"))
    if checked.train.from_tune:
        raise InputError("train.from_tune = true: a search's result does not travel; write what it found into the list")
    return params


def _before_training(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide the rows: those whose block some stage up to `dataset` reads."""
    read = {key for stage in _up_to(LAST) for key in stage.get("params", [])}
    return {key: value for key, value in settings.items() if key.split(".")[0] in read}


def _up_to(last: str) -> list[dict[str, Any]]:
    stages = read_yaml(Path("dvc.yaml"))["stages"]
    names = list(stages)
    return [stages[name] for name in names[: names.index(last) + 1]]


def _prepared(groups: dict[str, dict[str, Any]]) -> dict[str, str]:
    """{digest: commit} of experiments that were run up to `dataset`; they are forgotten once they have been read."""
    runs = [Run(f"pack-{digest}", _before_training(settings), LAST) for digest, settings in groups.items()]
    if failed := work_off(runs, 1, lambda: None):
        raise InputError(f"the rows cannot be prepared; {LOGS} has the logs\n{reasons(failed)}")
    found = dict(commits_of())
    return {digest: found[f"pack-{digest}"] for digest in groups}


def _fetch(commit: str, folder: Path) -> None:
    """The rows that an experiment left in DVC's cache."""
    files = DVCFileSystem(".", rev=commit)
    (folder / "data/processed").mkdir(parents=True)
    for name in INPUTS:
        files.get(f"data/processed/{name}", str(folder / "data/processed" / name), recursive=True)
    take_out_known_labels(folder / "data/processed")
    name = next(name for name, one in commits_of() if one == commit)
    subprocess.run(["dvc", "exp", "remove", name], capture_output=True, check=True)


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return done.stdout.strip()[:12]


def _digest(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
