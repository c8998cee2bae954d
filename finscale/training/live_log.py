"""The log of a run's settings and epochs: DVCLive's, or where that is not installed a file that it can be told from.

Training on a machine without DVC (study/elsewhere) leaves dvclive/told.json; `retell` gives it to DVCLive where there
is one, so that a log has one form wherever its run was trained.
"""

import json
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finscale.storage import write_json

TOLD = "told.json"


class ToldLog:
    """The part of dvclive.Live that a run uses, kept as {"settings": ..., "epochs": [{name: value}, ...]}."""

    def __init__(self, folder: Path) -> None:
        self.step = 0
        self._file = folder / TOLD
        self._settings: dict[str, Any] = {}
        self._epochs: dict[int, dict[str, float]] = {}

    def log_params(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    def log_metric(self, name: str, value: float) -> None:
        self._epochs.setdefault(self.step, {})[name] = value

    def next_step(self) -> None:
        self.step += 1

    def end(self) -> None:
        write_json(self._file, {"settings": self._settings, "epochs": self._epochs})


def open_log(folder: Path) -> Any:
    """A log whose earlier content is gone; of dvclive.Live's methods, those of ToldLog."""
    if find_spec("dvclive") is None:
        return ToldLog(folder)
    from dvclive.live import Live

    return Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None)


def log_epoch(live: Any, step: int, values: Mapping[str, float]) -> None:
    live.step = step
    for name, value in values.items():
        live.log_metric(name, value)
    live.next_step()


def retell(left: Path, log: Path) -> None:
    """The log that a run left elsewhere, as DVCLive writes it, with the files beside it."""
    shutil.rmtree(log, ignore_errors=True)
    if not (left / TOLD).exists():
        shutil.copytree(left, log)
        return
    told, live = json.loads((left / TOLD).read_text(encoding="utf-8")), open_log(log)
    live.log_params(told["settings"])
    for step, values in told["epochs"].items():
        log_epoch(live, int(step), values)
    live.end()
    for path in left.iterdir():
        if path.is_file() and path.name != TOLD:
            shutil.copyfile(path, log / path.name)
