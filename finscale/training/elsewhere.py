"""A run that another machine has trained: what it left there becomes the output of this machine's stages.

A result is the folder that study/elsewhere/run.py fills: models/, dvclive/, the model's predictions, and done.json with
the SHA-256 of each. $FINSCALE_RESULT names it. It is taken only where settings and rows are those that the stage would
train with (study/elsewhere/take.py has compared the code); device and precision may have been `auto` there.

That machine has no DVCLive: its epochs come as a file and are told again, so that the log here is as always.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from safetensors.torch import save_file

from finscale.errors import InputError
from finscale.identity import check_made_from
from finscale.storage import read_json, write_atomically, write_json
from finscale.training.config import RunSettings
from finscale.training.live_log import retell
from finscale.training.run import NO_RESULT, Files

RESULT = "done.json"
VARIABLE = "FINSCALE_RESULT"


def result_to_take() -> Path | None:
    """The result that is to be taken in place of training; None where the stage is to train."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def check_complete(result: Path) -> None:
    """Raise InputError where a file of a result is missing or not as it was left."""
    told = read_json(result / RESULT)
    if bad := [name for name, known in told["files"].items() if _digest(result / name) != known]:
        raise InputError(f"{result}: {', '.join(bad[:3])} missing or damaged; copy the folder back whole")


def take_model(result: Path, settings: RunSettings, files: Files) -> None:
    """One fold's model and log, as this machine's training would have left them.

    settings: today's, with the device and the precision that `auto` came to mean there. Raises InputError where the
    result was trained with other settings, or on other rows.
    """
    told = read_json(result / files.model)
    made = told["run"]["made_from"]
    made["params"]["train"] |= {"device": told["compute"]["device"], "precision": told["compute"]["precision"]}
    check_made_from(made, settings, result / files.model, {"train": NO_RESULT})
    _take_weights(result / files.weights, files.weights)
    write_json(files.model, told)
    retell(result / files.log, files.log)


def check_same_weights(result: Path, models: Iterable[Path]) -> None:
    """Raise InputError where a model that lies here is not the one that made the result's predictions.

    DVC may have taken `train` from its run cache: then another training of the same settings lies here.
    """
    for path in models:
        here, there = (read_json(one).get("weights_md5") for one in (path, result / path))
        if not there or here != there:
            raise InputError(
                f"{path}: its weights are {here}, and the predictions of {result} were made with {there}; `dvc repro "
                "--force train` with the same FINSCALE_RESULT takes the model too"
            )


def take_files(result: Path, names: Iterable[Path]) -> None:
    for name in names:
        name.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(result / name, name)


def _take_weights(left: Path, target: Path) -> None:
    """The weights, or where they stayed behind a file without tensors that says so: nobody can predict with it."""
    if left.exists():
        shutil.copyfile(left, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    stayed = {"weights": "left on the machine that trained them; `python run.py --weights` brings them along"}
    write_atomically(target, lambda temporary: save_file({}, temporary, metadata=stayed))


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
