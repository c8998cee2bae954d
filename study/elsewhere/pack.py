"""pack: a list of experiments -> a folder with all that training them needs

Reads  RUN.yaml ...        what to run (study/elsewhere/lists.py)
       the stages up to `dataset`, through DVC: run where their results are not there yet
Writes DIR/pack.json       the runs in their order, and the SHA-256 of every file
       DIR/inputs/<digest>/ rows, shared by experiments that differ in what happens after `dataset`; of the test rows
                           the features alone: no label of a test day leaves this machine
       DIR/runs/<name>.yaml each run's params.yaml
       DIR/code/           the files that stages.train and stages.predict import
       DIR/run.py, DIR/requirements.txt
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from finscale.config import format_budget
from finscale.data.dataset import KEYS
from finscale.errors import InputError
from finscale.imports import import_closure, read_sources
from finscale.model.shape import solve
from finscale.storage import write_json, write_text
from stages.paths import DEVELOPMENT
from study.elsewhere.lists import Asked, read_lists
from study.elsewhere.rows import digest_of, digests_of, group_of, make_rows
from study.experiments import params_with
from study.programs import git

STAGES = ("stages.train", "stages.predict")
PACKAGES = Path("requirements-device.txt")


def code_of() -> dict[str, str]:
    """{path: text} of what training and predicting import."""
    sources = read_sources()
    return {path: text for stage in STAGES for path, text in import_closure(stage, sources).items()}


def name_of(asked: Asked, code: Mapping[str, str], files: Mapping[str, str]) -> str:
    """A run's name: what it is, and a digest of all that decides it: settings, code and rows.

    code: of code_of. files: {path in the pack: SHA-256}. So another result never has the same name, and a pack whose
    settings were changed has names that are not theirs.
    """
    inputs = f"inputs/{group_of(asked.settings)}/"
    rows = {path.removeprefix(inputs): digest for path, digest in files.items() if path.startswith(inputs)}
    one = asked.params
    return f"{one.task}-{format_budget(one.budget)}-s{one.seed}-{digest_of([asked.told(), code, rows])}"


def pack(lists: list[Path], folder: Path) -> list[str]:
    """Write the pack, whole or not at all; returns the names of its runs.

    Raises InputError where a list or a setting cannot be used, and for a folder that is there already.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is there already, and no empty folder; give another one, or remove it")
    asked = read_lists(lists)
    target = folder.resolve()
    making = target.with_name(f".tmp-{target.name}")
    shutil.rmtree(making, ignore_errors=True)
    try:
        names = _fill(making, asked)
        if target.exists():
            target.rmdir()
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return names


def _fill(folder: Path, asked: list[Asked]) -> list[str]:
    make_rows([one.settings for one in asked], folder / "inputs")
    _check_shapes(folder, asked)
    code, rows = code_of(), {f"inputs/{path}": digest for path, digest in digests_of(folder / "inputs").items()}
    runs = []
    for one in asked:
        name = name_of(one, code, rows)
        inputs, written = f"inputs/{group_of(one.settings)}", f"runs/{name}.yaml"
        write_text(folder / written, yaml.safe_dump(params_with(one.settings), sort_keys=False))
        runs.append({"name": name, "settings": one.settings, "params": written, "inputs": inputs})
    for path, text in code.items():
        write_text(folder / "code" / path, text)
    shutil.copyfile(Path(__file__).with_name("run.py"), folder / "run.py")
    shutil.copyfile(PACKAGES, folder / "requirements.txt")
    # Last: a folder without it is no pack.
    write_json(folder / "pack.json", {"commit": _commit(), "runs": runs, "files": digests_of(folder)})
    return [str(run["name"]) for run in runs]


def _check_shapes(folder: Path, asked: list[Asked]) -> None:
    """Raise InputError for a budget that the features of its rows leave no shape for: here, not on the GPU."""
    for one in asked:
        columns = pq.read_schema(folder / "inputs" / group_of(one.settings) / DEVELOPMENT).names
        solve(one.params.budget, one.params.train.model, len(set(columns) - set(KEYS)))


def _commit() -> str:
    return git("rev-parse", "HEAD")[:12]
