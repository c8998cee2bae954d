"""Development rows as the stages make them, in a workspace of their own, made once for all runs that share them.

The workspace's `data.end` is the last day that the protocol allows to be seen: later days are not in it, not even raw.
What lies in it beyond development.parquet can be opened by `predict`, `baselines` and `evaluate` alone.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.config import flat
from finscale.data.dataset import read_development
from finscale.data.folds import read_folds
from finscale.imports import import_closure, read_sources
from finscale.training.resume import claim
from finscale.training.scratch import scratch_folder
from stages.paths import DEVELOPMENT, FOLDS
from study.experiments import RESULT_STAGES
from study.planted import run_stages

STAGES = RESULT_STAGES[: RESULT_STAGES.index("dataset") + 1]
_DECIDE_NO_ROW = ("train", "budget", "seed", "tune", "calibrate", "evaluate", "compare", "trade", "meta", "baselines")


def scratch() -> Path:
    """Where workspaces and claims of runs lie, outside what DVC and git know."""
    return scratch_folder(dict(os.environ), Path.cwd()).with_name("recipe")


def workspace(params: Mapping[str, Any]) -> Path:
    """The folder with these settings' rows, made where it is not there yet. Raises InputError as the stages do."""
    deciding = {key: value for key, value in params.items() if key not in _DECIDE_NO_ROW}
    told = json.dumps([flat(deciding), _code()], sort_keys=True)
    with claim(scratch(), hashlib.sha256(told.encode()).hexdigest()[:16]) as folder:
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            run_stages(folder, deciding, last=STAGES[-1])
            (folder / "complete").touch()
    return folder


@cache
def _code() -> dict[str, str]:
    """Texts of all that the stages up to `dataset` execute."""
    sources = read_sources()
    return {path: text for stage in STAGES for path, text in import_closure(f"stages.{stage}", sources).items()}


def development_rows(folder: Path) -> list[pd.DataFrame]:
    """Train, validation and calibration rows of each fold."""
    return [read_development(folder / fold.of(DEVELOPMENT)) for fold in read_folds(folder / FOLDS)]
