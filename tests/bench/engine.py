"""bench: windows per second of a training step, ours against transformers' and neuralforecast's PatchTST

Why    forward, backward, clipping and AdamW on the same shape, rows, batch, device and thread count, each contestant in
       a process of its own (tests.bench.contestants), taking turns in one run; medians over rounds. The share of the
       machine's own matmul peak, measured in the same turns, says how much is left to gain.

    python -m tests.bench.engine --budgets 100K,1M,2M --channels 20,100 --threads 2 --rounds 7
    python -m tests.bench.engine --device cuda --out DIR     on a GPU, in 3 minutes (tests.bench.device)

A peer that is not installed has no line: pip install -r requirements-bench.txt
"""

import argparse
import importlib.util
import json
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from tabulate import tabulate

from finscale.training.products import processor
from tests.bench import device
from tests.bench.contestants import CONTESTANTS, STACKED, matmul_size
from tests.bench.race import BATCH, Setting

_AT_LEAST = 0.5  # seconds of one turn
_BASELINE = "transformers, plain loop"
_PEAKS = ("matmul", "matmul, oneDNN")  # large squares: what torch.matmul reaches, and oneDNN in fp32
_AT_ONCE = ", a run per core"  # of a contestant's name: as studies train, one thread for each of several runs
_NEEDS = {"transformers, Trainer": "accelerate", "neuralforecast": "neuralforecast"}


@dataclass
class Contestant:
    """A process that trains when it is told to; or one for each thread, which train at once."""

    name: str
    setting: Setting
    steps: int = 1
    seconds: list[float] = field(default_factory=list)  # per step, a median for each turn
    peak_bytes: int = 0

    def __post_init__(self) -> None:
        self._copies = self.setting.threads if self.name.endswith(_AT_ONCE) else 1
        setting = replace(self.setting, threads=self.setting.threads // self._copies)
        self._words = ["-m", "tests.bench.contestants", self.name.removesuffix(_AT_ONCE), json.dumps(asdict(setting))]
        self._processes = [
            subprocess.Popen(
                [sys.executable, *self._words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            for _ in range(self._copies)
        ]  # fmt: skip

    def warm_up(self) -> None:
        self._turn(2)  # the first step builds kernels
        self.steps = max(1, round(_AT_LEAST / min(self._turn(2))))

    def _turn(self, steps: int) -> list[float]:
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{steps}\n")
            process.stdin.flush()
        told = [self._answer(process) for process in self._processes]
        self.peak_bytes = sum(one["peak_bytes"] for one in told)
        return [second for one in told for second in one["seconds"]]

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            sys.exit(f"bench: {self.name} ended; to see why: echo 2 | {shlex.join(['python', *self._words])}")
        told: dict[str, Any] = json.loads(line)
        return told

    def run(self) -> None:
        self.seconds.append(median(self._turn(self.steps)))

    def end(self) -> None:
        for process in self._processes:
            process.communicate("0\n")

    @property
    def windows_per_second(self) -> float:
        together = STACKED if "stacked" in self.name else self._copies
        return together * self.setting.batch / median(self.seconds)


def takes_part(name: str, setting: Setting, compiled: bool, stacked: bool) -> bool:
    if name == "matmul, oneDNN":
        return setting.device == "cpu" and setting.precision == "fp32" and torch.backends.mkldnn.is_available()
    if "compiled" in name or "stacked" in name:
        return compiled if "compiled" in name else stacked
    return importlib.util.find_spec(_NEEDS.get(name, "torch")) is not None


def compete(setting: Setting, rounds: int, names: list[str]) -> dict[str, Contestant]:
    """All contestants in turns, so that a slow moment of the machine meets each of them."""
    contestants = {name: Contestant(name, setting) for name in names}
    for contestant in contestants.values():
        contestant.warm_up()
    for _ in range(rounds):
        for contestant in contestants.values():
            contestant.run()
    for contestant in contestants.values():
        contestant.end()
    return contestants


def rows_of(setting: Setting, contestants: dict[str, Contestant], reference: float) -> list[list[str]]:
    """reference: windows/s of transformers' plain loop in fp32."""
    products = {name: contestants.pop(name) for name in list(contestants) if name.startswith("matmul")}
    size = matmul_size(setting.device)
    peaks = {name: 2 * size**3 / median(product.seconds) for name, product in products.items()}
    plain = contestants[_BASELINE].windows_per_second
    rows = []
    for name, of in contestants.items():
        rate = of.windows_per_second
        spread = (
            f"{rate * median(of.seconds) / max(of.seconds):,.0f} to {rate * median(of.seconds) / min(of.seconds):,.0f}"
        )
        flops = rate / setting.batch * setting.flops_per_step()
        shares = [f"{flops / peaks[name]:.0%} of {peaks[name] / 1e9:,.0f}" if name in peaks else "" for name in _PEAKS]
        ratios = [f"{rate / plain:.2f}", f"{rate / (reference or plain):.2f}"]
        where = [setting.budget, str(setting.channels), setting.precision]
        rows.append([*where, name, f"{rate:,.0f}", spread, *ratios, *shares, f"{of.peak_bytes / 2**20:,.0f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", default="100K,1M,2M")
    parser.add_argument("--channels", default="20,100")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="also ours under torch.compile")
    parser.add_argument("--stacked", action="store_true", help="also several seeds of ours as one model")
    parser.add_argument("--at-once", action="store_true", help="also as many runs as threads, each on one")
    parser.add_argument("--quick", action="store_true", help="the bench of --device cuda in small, on any device")
    parser.add_argument("--seconds", type=float, default=180, help="with --device cuda or --quick: no longer than this")
    parser.add_argument("--out", type=Path, default=Path("bench-device"), help="and its JSON and Markdown go here")
    given = parser.parse_args()
    if given.quick or given.device == "cuda":
        sys.exit(device.bench(given.device, given.out, given.quick, given.seconds))
    print(f"batch {BATCH}, {given.threads} threads, {given.device}, torch {torch.__version__}, {given.rounds} rounds")
    print(processor())
    headers = ["budget", "channels", "precision", "model", "windows/s", "range", "x plain loop", "x plain loop, fp32"]
    headers += ["share of torch.matmul, GFLOP/s", "share of oneDNN's", "peak MiB"]
    for budget in given.budgets.split(","):
        for channels in map(int, given.channels.split(",")):
            reference = 0.0
            for precision in given.precisions.split(","):
                setting = Setting(budget, channels, precision, given.device, given.threads)
                names = [name for name in CONTESTANTS if takes_part(name, setting, given.compiled, given.stacked)]
                if given.at_once:
                    names += ["ours" + _AT_ONCE, _BASELINE + _AT_ONCE]
                contestants = compete(setting, given.rounds, names)
                if precision == "fp32":
                    reference = contestants[_BASELINE].windows_per_second
                rows = rows_of(setting, contestants, reference)  # told at once: a bench is stopped more often than not
                print(tabulate(rows, headers, "github", disable_numparse=True, stralign="right"), flush=True)


if __name__ == "__main__":
    main()
