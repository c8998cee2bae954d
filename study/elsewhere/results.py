"""What came back from another machine: is it what was packed, whole, and of its own rows? Nothing of it is believed

A pack's names are digests of settings, code and rows, and are made again here; a result's files have to be those that
its done.json lists, its settings and rows those of its name, its predictions one number for each row. What cannot be
seen is whether the numbers are a model's: only `python run.py --weights` lets somebody predict again.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from finscale.config import flat
from finscale.data.folds import StoredFold, read_folds
from finscale.errors import InputError
from finscale.evaluation.rows import EVALUATED, ROW, of_fold
from finscale.identity import check_size, differs_from
from finscale.storage import md5_of, read_json
from finscale.training.config import TrainConfig
from finscale.training.elsewhere import RESULT, check_complete
from finscale.training.run import NO_RESULT
from stages.paths import DEVELOPMENT, FOLDS, MODEL, MODEL_PREDICTIONS, TEST
from stages.train import Params
from study.elsewhere.lists import Asked

RUNTIME = Path("models/runtime.json")
NEEDED = (MODEL, RUNTIME, MODEL_PREDICTIONS)
_NAME = re.compile(r"[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*")


@dataclass(frozen=True)
class Packed:
    """pack.json: of which commit, the settings of each run by name, and {path: SHA-256} of its files."""

    commit: str
    runs: dict[str, dict[str, Any]]
    files: dict[str, str]


def read_pack(folder: Path) -> Packed:
    """Raises InputError where pack.json is missing, cut off or of another form."""
    try:
        told = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
        runs = {run["name"]: dict(run["settings"]) for run in told["runs"]}
        if odd := [name for name in runs if not _NAME.fullmatch(name)]:
            raise ValueError(f"names a run {odd[0]!r}")
        return Packed(str(told["commit"]), runs, dict(told["files"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder} is no pack, or was copied in part: pack.json {error}; copy it back whole") from None


def check_files(result: Path, name: str) -> None:
    """Raise InputError unless a result is run `name`'s, and its files are those that it lists, as they were left."""
    links = [path for path in (result, *result.rglob("*")) if path.is_symlink()]
    if links:
        raise InputError(f"{result}: {links[0].name} is a link; copy the folder back with the files themselves")
    told = read_json(result / RESULT)
    listed = told.get("files") if isinstance(told, dict) else None
    if not isinstance(listed, dict):
        raise InputError(f"{result / RESULT} lists no files; copy the folder back whole")
    if told.get("run") != name:
        raise InputError(f"{result} holds the result of run {told.get('run')}; put it back under that name")
    found = {path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()} - {RESULT}
    if extra := sorted(found - set(listed)):
        raise InputError(f"{result}: {extra[0]} is not of the result; remove it, or copy the folder back")
    check_complete(result)
    if lacking := [path.as_posix() for path in NEEDED if path.as_posix() not in listed]:
        raise InputError(f"{result} has no {lacking[0]}, though it says that it is complete; run it there again")


def check_result(result: Path, asked: Asked, rows: Path) -> None:
    """Raise InputError unless a result was trained with these settings on these rows, and predicts each of them.

    result: of check_files. rows: the folder of the experiment's data/processed, as this repository makes it.
    """
    try:
        folds = read_folds(rows / FOLDS)
        for fold in folds:
            _check_model(result / fold.of(MODEL), asked, fold.of(DEVELOPMENT), rows)
        _check_predictions(result / MODEL_PREDICTIONS, pd.concat([_rows_of(fold, rows) for fold in folds]))
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise InputError(f"{result} is of no form that run.py writes ({error!r}); run it there again") from None


def _check_model(path: Path, asked: Asked, development: Path, rows: Path) -> None:
    told = read_json(path)
    made, compute, run = told["run"]["made_from"], told["compute"], told["run"]
    for key in ("device", "precision"):
        if compute[key] not in get_args(TrainConfig.model_fields[key].annotation) or compute[key] == "auto":
            raise InputError(f"{path}: {key} = {compute[key]!r} is none that a run can have; run it there again")
    wanted = Params.model_validate({key: asked.told()[key] for key in Params.model_fields})
    now = wanted.model_dump(mode="json", exclude={"train": NO_RESULT})
    if lacking := sorted(flat(now).keys() ^ flat(made["params"]).keys()):
        raise InputError(f"{path} does not say which {lacking[0]} it was trained with; run it there again")
    if said := differs_from(made, now):
        raise InputError(f"{path} was made with {said.replace('params.yaml', 'the pack')}; run it there again")
    if made["inputs"] != {development.as_posix(): md5_of(rows / development)}:
        raise InputError(f"{path} was trained on other rows than were packed; run it there again")
    check_size(asked.params.budget, run["params_total"])
    if not math.isfinite(run["validation_loss"]):
        raise InputError(f"{path}: its validation loss is {run['validation_loss']}; run it there again")


def _rows_of(fold: StoredFold, rows: Path) -> pd.DataFrame:
    """The rows that a model of this fold predicts: ROW, and `fold` where there are several."""
    keys = pd.concat([pd.read_parquet(rows / fold.of(path), columns=ROW) for path in (DEVELOPMENT, TEST)])
    return of_fold([keys[keys["split"].isin(EVALUATED)]], fold)


def _check_predictions(path: Path, rows: pd.DataFrame) -> None:
    found = pd.read_parquet(path)
    if sorted(found.columns) != sorted([*rows.columns, "output"]):
        raise InputError(f"{path} has columns {', '.join(found.columns)}; run it there again")
    wanted, given = (pd.MultiIndex.from_frame(one[list(rows.columns)]) for one in (rows, found))
    if given.duplicated().any() or len(wanted) != len(given) or not given.isin(wanted).all():
        raise InputError(f"{path}: {len(given)} predictions, and not of the {len(wanted)} rows that were packed")
    if not np.isfinite(found["output"].to_numpy(float)).all():
        raise InputError(f"{path}: an output is no number; run it there again")


def differing(files: Mapping[str, str], here: Mapping[str, str], inside: str) -> list[str]:
    """The files of a pack inside one of its folders that are not those that lie here."""
    there = {path: digest for path, digest in files.items() if path.startswith(inside)}
    return sorted(path for path in here.keys() | there.keys() if here.get(path) != there.get(path))
