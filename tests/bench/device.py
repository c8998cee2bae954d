"""bench: what a GPU makes of a training step, in three minutes; `python -m tests.bench.engine --device cuda --out DIR`

Why    A GPU is at hand for minutes. The settings come in order of what they tell, each with a time limit of its own and
       each contestant in a process of its own; bench.json and bench.md are written anew whenever one ends, so that any
       part of the bench is a result. Forward, backward, clipping and AdamW on 4096 random windows of 60 days, in bf16.

transformers      its PatchTSTForClassification in a plain loop with a DataLoader
eager             this project's training loop, kernel by kernel
graphs            the same, a step captured and replayed as a CUDA graph (train.graphs)
compiled          the same, under torch.compile (train.compile), without and with graphs
recomputed        the same, activations of layers computed twice (train.recompute)
"""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from finscale.storage import write_json, write_text
from finscale.training.products import processor
from tests.bench.contestants import matmul_size
from tests.bench.race import Setting

_MEASURED = 0.6  # seconds of one contestant at one setting, besides its warm-up
_QUICK = 0.05


@dataclass(frozen=True)
class Task:
    name: str
    setting: Setting
    limit: float  # seconds


def tasks(quick: bool, device: str) -> list[Task]:
    """In order of what they tell: any prefix is a result."""

    precision = "bf16" if device == "cuda" else "fp32"

    def task(name: str, budget: str = "10K", channels: int = 20, batch: int = 32, limit: float = 20) -> Task:
        return Task(name, Setting(budget, channels, precision, device, 1, batch), limit)

    if quick:
        names = ("matmul", "transformers", "eager", *(("graphs",) if device == "cuda" else ()))
        return [task(name, "10K", 4, 8) for name in names] + [task("eager", "30K", 4, 16)]
    loops = ("transformers", "eager", "graphs")
    first = [task(name, budget) for budget in ("100K", "2M", "20M", "200M") for name in loops]
    full = [task(name, "200M", 20, 256) for name in ("graphs", "transformers")]
    full += [task(name, budget, 50, 256) for budget in ("200M", "20M") for name in ("graphs", "transformers")]
    small = [task("compiled, graphs", budget, limit=45) for budget in ("100K", "2M")]
    large = [task("compiled, graphs", "200M", 20, 256, limit=75), task("recomputed", "2B", limit=40)]
    rest = [
        task(name, budget, channels, batch)
        for channels, batch in ((50, 256), (20, 256), (50, 32))
        for budget in ("2M", "100K", "20M", "200M")
        for name in ("graphs", "transformers", "eager")
    ]
    rest += [task("compiled", "2M", limit=45), task("compiled, graphs", "20M", 50, 256, limit=60)]
    done = first + full + small + large
    return [task("matmul"), *done, *(one for one in rest if one not in done)]


class Worker:
    """A contestant's process; begun early, because importing takes longer than most of what it measures."""

    def __init__(self, name: str, log: Path) -> None:
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.device_worker", name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def measure(self, setting: Setting, seconds: float, limit: float) -> dict[str, Any] | str:
        """What it measured, or why it did not; the process is at its end then."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"setting": asdict(setting), "seconds": seconds}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._last_words()
        if not select.select([self._process.stdout], [], [], max(0.0, limit))[0]:
            self.end()
            return f"not done after {limit:.0f} s"
        line = self._process.stdout.readline()
        told: dict[str, Any] | str = json.loads(line) if line else self._last_words()
        return told

    def _last_words(self) -> str:
        self._process.wait()
        lines = [line for line in self._log.read_text().splitlines() if line.strip()]
        return f"ended: {lines[-1][:300] if lines else self._process.returncode}"

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def machine(device: str) -> dict[str, Any]:
    told: dict[str, Any] = {"device": device, "processor": processor(), "cores": os.cpu_count()}
    told |= {"torch": torch.__version__, "python": sys.version.split()[0]}
    if device == "cuda":
        told |= {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "driver": driver()}
        told["memory_gib"] = round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)
    return told


def driver() -> str:
    shown = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return shown.stdout.strip().partition("\n")[0]


def row(task: Task, told: dict[str, Any], rows: list[dict[str, Any]], peak: float) -> dict[str, Any]:
    """peak: FLOP/s of the measured product."""
    setting = task.setting
    flops = 2 * matmul_size(setting.device) ** 3 if task.name == "matmul" else setting.flops_per_step()
    made = {"model": task.name, "budget": setting.budget, "channels": setting.channels, "batch": setting.batch}
    made |= {"precision": setting.precision, "milliseconds": 1e3 * told["seconds"]}
    made |= {"tflops": flops / told["seconds"] / 1e12, "windows_per_second": setting.batch / told["seconds"]}
    made |= {"slowest": 1e3 * told["slowest"], "fastest": 1e3 * told["fastest"]}
    made |= {"peak_gib": told.get("peak_gib"), "passes": told["passes"]}
    made["took"] = told["took"]
    made["share_of_peak"] = flops / told["seconds"] / peak if peak else None
    same = ("budget", "channels", "batch")
    plain = [one for one in rows if one["model"] == "transformers" and all(one[key] == made[key] for key in same)]
    made["times_transformers"] = made["windows_per_second"] / plain[0]["windows_per_second"] if plain else None
    return made


def markdown(result: dict[str, Any]) -> str:
    about = result["machine"]
    driver = f", driver {about['driver']}, CUDA {about['cuda']}, {about['memory_gib']} GiB" if "driver" in about else ""
    lines = [f"{about['device']}{driver}; {about['cores']} cores of {about['processor']}; torch {about['torch']}", ""]

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    cells = [
        [
            one["budget"], one["channels"], one["batch"], one["model"], shown(one["windows_per_second"], ",.0f"),
            shown(one["milliseconds"], ".3g"), shown(one["times_transformers"], ".2f"), shown(one["tflops"], ".3g"),
            shown(one["share_of_peak"], ".0%"), shown(one["peak_gib"], ".2f"),
        ]
        for one in result["rows"] if one["model"] != "matmul"
    ]  # fmt: skip
    headers = ["budget", "channels", "batch", "model", "windows/s", "ms a step", "x transformers", "TFLOP/s"]
    lines.append(tabulate(cells, [*headers, "of measured peak", "peak GiB"], "github", disable_numparse=True))
    for one in result["rows"]:
        if one["model"] == "matmul":
            lines += ["", f"Measured peak: {one['tflops']:.3g} TFLOP/s in {one['precision']} (a large square product)."]
    lines += ["", *(f"- without result: {name}: {reason}" for name, reason in result["without"].items())]
    return "\n".join(lines) + "\n"


def bench(device: str, out: Path, quick: bool, seconds: float) -> int:
    """Measure until all is done or the time is over; 0 where at least the first setting of ours has a result."""
    ends = time.monotonic() + seconds
    planned = tasks(quick, device)
    out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"machine": machine(device), "rows": [], "without": {}}
    names = list(dict.fromkeys(task.name for task in planned))
    workers = {name: Worker(name, out / f"{name.replace(', ', '-')}.log") for name in names}
    peak = 0.0
    for task in planned:
        setting, left = task.setting, ends - time.monotonic()
        called = f"{task.name}, {setting.budget}, {setting.channels} channels, batch {setting.batch}"
        if left <= 1:
            result["without"][called] = "the bench's time was over"
            continue
        told = workers[task.name].measure(setting, _QUICK if quick else _MEASURED, min(task.limit, left))
        if isinstance(told, str):
            result["without"][called] = told
            workers[task.name].end()
            workers[task.name] = Worker(task.name, out / f"{task.name.replace(', ', '-')}.log")
        else:
            made = row(task, told, result["rows"], peak)
            peak = 1e12 * made["tflops"] if task.name == "matmul" else peak
            result["rows"].append(made)
        write_json(out / "bench.json", result)
        write_text(out / "bench.md", markdown(result))
        print(f"{called}:", told if isinstance(told, str) else f"{1e3 * told['seconds']:.3g} ms a step", flush=True)
    for worker in workers.values():
        worker.end()
    print(markdown(result))
    return 0 if any(one["model"] == "eager" for one in result["rows"]) else 1
