"""What an experiment costs beside its training: python -m tests.bench.experiment [--stages] [NAME ...]

In a clone of this commit in a temporary folder, set to a small configuration (10K parameters, two epochs): a first
`dvc repro`, then one experiment each that varies the budget, the seed, the feature tier and the task, goes back to an
earlier tier and task, and a plain `dvc repro` with nothing to do. Wall and processor seconds (user and system, of all
processes), less what the training loop itself took; --stages adds those of each stage's process. With names (budget,
seed, nothing, ...) only these, after the first run.
"""

import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from tests.pipeline.conftest import Workspace, small_clone

EXPERIMENTS = {
    "first run": ("dvc", "repro"),
    "budget": ("dvc", "exp", "run", "-S", "budget=12K"),
    "seed": ("dvc", "exp", "run", "-S", "budget=10K", "-S", "seed=1"),
    "tier": ("dvc", "exp", "run", "-S", "seed=0", "-S", "tier=a50"),
    "task": ("dvc", "exp", "run", "-S", "tier=a20", "-S", "task=direction"),
    "tier again, other seed": ("dvc", "exp", "run", "-S", "task=threshold_1pct", "-S", "tier=a50", "-S", "seed=2"),
    "task again, other seed": ("dvc", "exp", "run", "-S", "tier=a20", "-S", "task=direction", "-S", "seed=2"),
    "budget, --temp": ("dvc", "exp", "run", "--temp", "-S", "budget=14K"),
    "nothing": ("dvc", "repro"),
}

# DVC runs a stage's command by $SHELL: this one writes down what the command took.
SHELL = """#!/bin/sh
/bin/sh "$@"
code=$?
{ echo "$DVC_STAGE"; times; } >> "$FINSCALE_BENCH_LOG"
exit $code
"""


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    trained: float  # processor seconds of the training loop
    trained_wall: float
    stages: dict[str, float]  # processor seconds of each stage's process

    def row(self, name: str) -> list[object]:
        dvc = self.cpu - sum(self.stages.values())
        ran = sum(self.stages.values()) - self.trained
        return [name, self.wall - self.trained_wall, self.cpu - self.trained, dvc, ran, len(self.stages), self.trained]


def _minutes(text: str) -> float:
    minutes, _, seconds = text.rstrip("s").partition("m")
    return 60 * float(minutes) + float(seconds)


def _stages(log: Path) -> dict[str, float]:
    """Of each stage, the third line of three: what its children took."""
    lines = log.read_text().splitlines() if log.exists() else []
    return {name: sum(map(_minutes, took.split())) for name, took in zip(lines[::3], lines[2::3], strict=True)}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _training(workspace: Workspace, told: str) -> tuple[float, float]:
    """(wall, processor) seconds of the training loop; zeros where nothing was trained."""
    if "Running stage 'train'" not in told:
        return 0.0, 0.0
    path = next(p for p in ("models/runtime.json", "metrics/runtime.json") if (workspace.path / p).exists())
    runtime = json.loads(workspace.read(path))
    return runtime["train_seconds"], runtime["train_seconds"] * runtime["cpu_cores"]


def measure(workspace: Workspace, command: tuple[str, ...], log: Path) -> Cost:
    log.unlink(missing_ok=True)
    started, before = time.perf_counter(), _processor()
    told = workspace.run(*command)
    wall, cpu = time.perf_counter() - started, _processor() - before
    trained_wall, trained = _training(workspace, told)
    return Cost(wall, cpu, trained, trained_wall, _stages(log))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shell, log = Path(folder) / "shell", Path(folder) / "stages.log"
        shell.write_text(SHELL)
        shell.chmod(0o755)
        os.environ |= {"SHELL": str(shell), "FINSCALE_BENCH_LOG": str(log)}
        workspace = small_clone(Path(folder) / "finscale")
        costs, chosen = {}, {"first run", *sys.argv[1:]} - {"--stages"}
        for name, command in EXPERIMENTS.items():
            if len(chosen) > 1 and name not in chosen:
                continue
            costs[name] = measure(workspace, command, log)
            if name == "first run":
                workspace.commit("small configuration")
            print(f"{name}: done", file=sys.stderr, flush=True)
    names = ["varies", "seconds", "processor seconds", "of DVC", "of stages", "stages run", "(training)"]
    print(tabulate([cost.row(name) for name, cost in costs.items()], names, floatfmt=".1f", tablefmt="github"))
    if "--stages" in sys.argv[1:]:
        names = dict.fromkeys(stage for cost in costs.values() for stage in cost.stages)
        table = [[stage, *(cost.stages.get(stage) for cost in costs.values())] for stage in names]
        print("\n" + tabulate(table, ["stage", *costs], floatfmt=".1f", tablefmt="github"))


if __name__ == "__main__":
    main()
