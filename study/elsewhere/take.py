"""take: the finished runs of a pack -> experiments of this repository

Reads  DIR/pack.json, DIR/results/   what run.py left there
Writes an experiment under each run's name: `make collect` puts it into the ledger, with the device that trained it
Why    stages `train` and `predict` take over what the other machine's did, after checking that settings, code and rows
       are the same; every other stage runs here as always, `evaluate` with labels that never left. The experiment has
       the device and the precision in its settings, so that it is never mistaken for one trained here.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from finscale.errors import InputError
from finscale.storage import read_json
from finscale.training.elsewhere import RESULT, check_complete
from study.elsewhere.pack import code_of
from study.experiments import commits_of
from study.workers import LOGS, Run, reasons, work_off


def take(folder: Path, jobs: int) -> tuple[int, int]:
    """Record every finished run that is no experiment yet; returns how many were recorded, and how many are packed.

    Raises InputError for a folder that is no pack, a pack of other code, and results that are not whole; nothing is
    recorded then. What fails in a stage is said at the end, and the other runs are recorded.
    """
    pack = _read(folder)
    _check_code(pack, folder)
    recorded = {name for name, _ in commits_of()}
    results = {run["name"]: (folder / "results" / run["name"]).resolve() for run in pack["runs"]}
    done = [run for run in pack["runs"] if (results[run["name"]] / RESULT).exists()]
    for run in done:
        check_complete(results[run["name"]])
    new = [_as_run(run, results[run["name"]]) for run in done if run["name"] not in recorded]
    if failed := work_off(new, jobs, lambda: None):
        raise InputError(
            f"{len(failed)} of {len(new)} results could not be recorded; {LOGS} has the logs\n{reasons(failed)}"
        )
    return len(new), len(pack["runs"])


def _as_run(run: dict[str, Any], result: Path) -> Run:
    """The experiment that takes this result: its settings, and what `auto` came to mean there."""
    compute = read_json(result / "models/model.json")["compute"]
    settings = run["settings"] | {"train.device": compute["device"], "train.precision": compute["precision"]}
    return Run(run["name"], settings, environment={"FINSCALE_RESULT": str(result)})


def _read(folder: Path) -> dict[str, Any]:
    try:
        pack: dict[str, Any] = json.loads((folder / "pack.json").read_text())
        return {key: pack[key] for key in ("runs", "files", "commit")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} is no pack, or was copied in part: pack.json {error}; copy it back whole") from None


def _check_code(pack: dict[str, Any], folder: Path) -> None:
    """Compared by what was packed, so that a pack of another commit is refused by the files that differ."""
    here = {f"code/{path}": hashlib.sha256(text.encode()).hexdigest() for path, text in code_of().items()}
    there = {path: digest for path, digest in pack["files"].items() if path.startswith("code/")}
    unlike = sorted(path for path in here.keys() | there.keys() if here.get(path) != there.get(path))
    if unlike:
        named = ", ".join(path.removeprefix("code/") for path in unlike[:3]) + (", ..." if len(unlike) > 3 else "")
        raise InputError(
            f"{folder} was packed with other code than lies here ({named}); "
            f"`git checkout {pack['commit']}`, where it was packed"
        )
