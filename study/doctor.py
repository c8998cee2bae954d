"""doctor: is this machine ready for what params.yaml asks for?

Reads  params.yaml, the requirements files, the machine
Why    a missing key, a full disk or a throttled processor is cheaper to find before a run than in it. Each
       line says ok, warning or error, and the remedy; only an error makes the exit status 1.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped]
import torch

from finscale.cli import run
from finscale.config import format_budget, parse_budget, read_yaml
from finscale.errors import InputError
from finscale.faults import in_words
from finscale.model.budget import GIB, Memory, training_memory
from finscale.model.config import ModelConfig
from finscale.model.shape import solve
from finscale.training.batch_size import device_memory
from finscale.training.config import TrainConfig
from finscale.training.device import choose_compute
from finscale.training.scratch import scratch_folder
from finscale.training.thermal import hottest, read_machine
from study.cost import planned, planned_folds
from study.programs import check_place, git
from study.remote import check_mounted
from study.requirements import read_pins

PARAMS = Path("params.yaml")
REQUIREMENTS, TRACKING = Path("requirements.txt"), Path("requirements-tracking.txt")
WRITTEN = (".", ".dvc", ".git", "code", "data", "models", "metrics", "plots", "reports", "results")
_CHANNELS = 100  # of a large data set: what a run may need, not what this one happens to have
_RESULTS = 2 * GIB  # data, environments of experiments, plots
_BIG, _BIG_NEEDS = 200_000_000, 50 * 10**9  # a run of a big budget is not started with less than 50 GB in all
_KEYS = {"FRED_API_KEY": "source live needs it: fred.stlouisfed.org/docs/api/api_key.html"}


@dataclass(frozen=True)
class Finding:
    status: Literal["ok", "warning", "error"]
    what: str
    told: str


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    told = ".".join(map(str, version))
    if not (3, 11) <= version[:2] <= (3, 13):
        return Finding("error", "python", f"{told}; use 3.11 to 3.13: make PYTHON=python3.12")
    return Finding("ok", "python", told)


def check_packages(requirements: Path) -> Finding:
    """Every pin of a requirements file, for this machine, against what is installed."""
    pins = [pin for pin in read_pins(requirements) if pin.marker is None or pin.marker.evaluate()]
    installed = [(pin, _installed(pin.name)) for pin in pins]
    wrong = [(pin, found) for pin, found in installed if not found or not pin.specifier.contains(found)]
    differing = [f"{pin.name} {found or 'missing'} (wanted {pin.specifier})" for pin, found in wrong]
    if differing:
        return Finding("error", "packages", f"{'; '.join(differing[:5])}: pip install -r {requirements}")
    return Finding("ok", "packages", f"{len(pins)} as pinned in {requirements}")


def _installed(name: str) -> str:
    """Without what follows a +, such as the +cpu of torch; empty where there is none."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""


def requirements_of(config: TrainConfig) -> Path:
    """The mirrors' packages are asked for only where a mirror is switched on."""
    return TRACKING if config.tracking.mlflow or config.tracking.wandb else REQUIREMENTS


def check_device(config: TrainConfig) -> Finding:
    compute = choose_compute(config.device, config.precision, config.threads)
    return Finding("ok", "device", f"{compute.device.type}, {compute.precision}, {config.threads} CPU thread(s)")


def needed_memory(config: TrainConfig, budget: int) -> Memory:
    model = config.model
    micro_batch = config.micro_batch if isinstance(config.micro_batch, int) else config.batch_size
    shape = solve(budget, ModelConfig.model_validate(model.model_dump()), _CHANNELS)
    precision = choose_compute(config.device, config.precision, config.threads).precision
    return training_memory(shape, model, _CHANNELS, micro_batch, config.recompute, precision)


def check_memory(need: int, budget: int, available: int) -> Finding:
    told = f"{available / GIB:.1f} GiB; {format_budget(budget)} with {_CHANNELS} channels takes {need / GIB:.1f} GiB"
    if need > available:
        return Finding("error", "memory", f"{told}: set train.micro_batch: auto or train.recompute: true")
    return Finding("ok", "memory", told)


@dataclass(frozen=True)
class DiskNeed:
    """Bytes that a run takes at most: in its scratch folder until it is complete, and in the workspace."""

    states: int
    results: int


def needed_disk(memory: Memory, keep: int, budget: int, folds: int = 1) -> DiskNeed:
    """What a run of `budget` parameters writes.

    `keep` saved states and the one being written hold weights and two moments, and may each have its own best. Of each
    fold trained before, the last one stays until all are. The results hold each fold's model twice, in the workspace
    and in DVC's cache.
    """
    states = (keep + 1 + folds - 1) * (memory.weights + memory.optimizer + memory.best_weights)
    results = _RESULTS + 2 * folds * memory.weights
    return DiskNeed(states, max(results, _BIG_NEEDS - states) if budget >= _BIG else results)


def check_disks(need: DiskNeed, scratch: Path, workspace: Path, folds: int = 1) -> Iterator[Finding]:
    """One line per disk: the scratch folder may lie on another one."""
    of_folds = f" of {folds} folds" if folds > 1 else ""
    scratch = next(folder for folder in (scratch, *scratch.resolve().parents) if folder.exists())
    if scratch.stat().st_dev == workspace.stat().st_dev:
        free = shutil.disk_usage(workspace).free
        yield check_disk(f"saved states and results{of_folds}", need.states + need.results, free)
        return
    yield check_disk(f"results{of_folds}", need.results, shutil.disk_usage(workspace).free)
    yield check_disk(f"saved states{of_folds} in {scratch}", need.states, shutil.disk_usage(scratch).free)


def check_disk(what: str, need: int, free: int) -> Finding:
    told = f"{free / GIB:.1f} GiB free; {what} take up to {need / GIB:.1f} GiB"
    remedy = "free some, keep fewer states (train.checkpoint.keep), or set FINSCALE_SCRATCH to a larger disk"
    if free < need:
        return Finding("error", "disk", f"{told}: {remedy}")
    if free < 2 * need:
        return Finding("warning", "disk", f"{told}, and a second run side by side as much again: {remedy}")
    return Finding("ok", "disk", told)


def check_power(plugged: bool | None) -> Finding:
    if plugged is False:
        return Finding("warning", "power", "on battery: plug in, or the processor is slowed down")
    return Finding("ok", "power", "plugged in" if plugged else "no battery")


def check_temperature(config: TrainConfig, degrees: float | None) -> Finding:
    if degrees is None:
        return Finding("warning", "temperature", "no sensor can be read; training goes on without the thermal guard")
    told = f"{degrees:.0f} °C; training pauses at {config.thermal.warning:.0f}"
    return Finding("warning" if degrees >= config.thermal.warning else "ok", "temperature", told)


def check_keys(environment: dict[str, str]) -> Iterator[Finding]:
    for name, remedy in _KEYS.items():
        there = bool(environment.get(name))
        yield Finding(
            "ok" if there else "warning", "keys", f"{name} is set" if there else f"{name} is not set; {remedy}"
        )


def check_writing(folders: Iterable[Path]) -> Finding:
    """Whether a run may write where it has to; a file is made and removed in each folder that is there."""
    for folder in (one for one in folders if one.is_dir()):
        try:
            with tempfile.TemporaryFile(dir=folder):
                continue
        except OSError as error:
            return Finding("error", "writing", in_words(error, folder) or f"{folder}: {error}")
    return Finding("ok", "writing", "every folder that a run writes to can be written")


def check_repository(folder: Path) -> Iterator[Finding]:
    """Git's and DVC's own conditions, which they tell late and in other words."""
    for check, told in ((lambda: git("status", "--short"), "git can read this repository"),
                        (lambda: check_place(folder), "queue, --temp and phase can run here")):  # fmt: skip
        try:
            check()
        except InputError as error:
            yield Finding("error", "repository", str(error))
        else:
            yield Finding("ok", "repository", told)


def check_remote() -> Finding:
    try:
        check_mounted()
    except InputError as error:
        return Finding("warning", "remote", str(error))
    return Finding("ok", "remote", "the default DVC remote is there")


def examine() -> Iterator[Finding]:
    """All checks, in order; one that stops on bad input is an error line, not the end."""
    yield check_python()
    params = read_yaml(PARAMS)
    config, budget = TrainConfig.model_validate(params["train"]), parse_budget(params["budget"])
    yield check_packages(requirements_of(config))
    memory = needed_memory(config, budget)
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    device = choose_compute(config.device, config.precision, config.threads).device
    available = device_memory(device) if device.type == "cuda" else psutil.virtual_memory().available
    yield check_device(config)
    yield check_memory(memory.total, budget, available)
    scratch, folds = scratch_folder(dict(os.environ), Path.cwd()), len(planned_folds(planned({})))
    yield from check_disks(needed_disk(memory, config.checkpoint.keep, budget, folds), scratch, Path.cwd(), folds)
    yield check_writing([*map(Path, WRITTEN), scratch])
    yield from check_repository(Path.cwd())
    yield check_power(battery.power_plugged if battery else None)
    yield check_temperature(config, hottest(read_machine(torch.device(device))))
    yield from check_keys(dict(os.environ))
    yield check_remote()


def main(say: Callable[[str], None] = print) -> None:
    findings = list(examine())
    for finding in findings:
        say(f"{finding.status:8} {finding.what:12} {finding.told}")
    if any(finding.status == "error" for finding in findings):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
