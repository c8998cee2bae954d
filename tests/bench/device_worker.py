"""One contestant of tests.bench.device in a process of its own: a line of JSON in, a line with what it measured out.

Shapes: B batch, L context, C channels.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from finscale.data.windows import Windows
from finscale.model.budget import activation_bytes
from finscale.model.patchtst import PatchTST
from finscale.training.batch_size import device_memory
from finscale.training.config import TrainConfig
from finscale.training.device import choose_compute
from finscale.training.loop import Trainer
from finscale.training.target import Target
from tests.bench import peers
from tests.bench.contestants import matmul_size
from tests.bench.race import MODEL, Setting, orders

_BLOCK = 0.1  # seconds between two readings of the clock, each of which waits for the device
_WARM_UP = 6  # steps: three ordinary ones, the capture, and two replays


@dataclass
class Blocks:
    """Lets a loop go on for so many seconds, and times it in blocks of steps, not step by step, as it really runs."""

    device: torch.device
    seconds: float
    passes: int = 1  # that a batch was divided into, because memory takes no more at once
    per_step: list[float] = field(default_factory=list)  # seconds, of each block
    _steps: int = 0
    _block: int = 1
    _started: float = 0.0
    _block_began: float = 0.0

    def begin(self) -> bool:
        """Before a step; False where the time is over."""
        if self._steps in (_WARM_UP - 1, _WARM_UP):  # the last of the warm-up tells how long a block has to be
            self._wait()
            self._started = self._block_began = time.perf_counter()
        return len(self.per_step) < 3 or time.perf_counter() - self._started < self.seconds

    def end(self) -> None:
        """After a step."""
        self._steps += 1
        if self._steps == _WARM_UP:
            self._wait()
            self._block = max(1, round(_BLOCK / (time.perf_counter() - self._block_began)))
        elif self._steps > _WARM_UP and (self._steps - _WARM_UP) % self._block == 0:
            self._wait()
            now = time.perf_counter()
            self.per_step.append((now - self._block_began) / self._block)
            self._block_began = now

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def ours(setting: Setting, seconds: float, **changed: Any) -> Blocks:
    """The training loop's own steps, on windows in the device's memory."""
    compute = choose_compute(setting.device, setting.precision, setting.threads)
    passes = passes_of(setting, changed.get("recompute", False), compute.device)
    windows = Windows(setting.rows(), "train", MODEL.context_length, compute.device)
    config = TrainConfig(
        model=MODEL, epochs=100, patience=100, batch_size=setting.batch, learning_rate=1e-4, final_learning_rate=1e-6,
        weight_decay=0.01, betas=(0.9, 0.999), warmup_fraction=0.1, clip_norm=1.0, precision=compute.precision,
        device=compute.device.type, threads=setting.threads,
        micro_batch=setting.batch // passes, **changed,
    )  # fmt: skip
    with compute.device:  # where billions of initial values are drawn in no time
        network = PatchTST(setting.shape(), MODEL, setting.channels, config.recompute)
    trainer = Trainer(network.train(), windows, windows, Target(binary=True), config, compute, seed=0)
    blocks = Blocks(compute.device, seconds, passes)
    for index_B in orders(windows, setting.batch, compute.device):
        if not blocks.begin():
            break
        trainer.step(index_B)
        blocks.end()
    return blocks


def passes_of(setting: Setting, recompute: bool, device: torch.device) -> int:
    """By the sum in fp32, which is above what bf16 takes: three quarters of the memory are for activations."""
    passes, room = 1, 0.75 * device_memory(device)
    while activation_bytes(setting.shape(), MODEL, setting.channels, setting.batch // passes, recompute) > room:
        passes *= 2
    return passes


def transformers(setting: Setting, seconds: float) -> Blocks:
    blocks = Blocks(torch.device(setting.device), seconds)
    peers.transformers(setting, blocks)
    return blocks


def matmul(setting: Setting, seconds: float) -> Blocks:
    """A large square product of random numbers."""
    device = torch.device(setting.device)
    dtype = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    square = torch.randn(2 * [matmul_size(setting.device)], device=device, dtype=dtype)
    blocks = Blocks(device, seconds)
    while blocks.begin():
        square @ square
        blocks.end()
    return blocks


CONTESTANTS: dict[str, Callable[..., Blocks]] = {
    "matmul": matmul,
    "transformers": transformers,
    "eager": lambda setting, seconds: ours(setting, seconds, graphs=False),
    "graphs": ours,
    "compiled": lambda setting, seconds: ours(setting, seconds, graphs=False, compile=True),
    "compiled, graphs": lambda setting, seconds: ours(setting, seconds, compile=True),
    "recomputed": lambda setting, seconds: ours(setting, seconds, recompute=True),
}


def measure(name: str, setting: Setting, seconds: float) -> dict[str, Any]:
    on_cuda = setting.device == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(0)
    began = time.perf_counter()
    blocks = CONTESTANTS[name](setting, seconds)
    gc.collect()  # a trainer and its captured steps refer to each other
    told = {"seconds": median(blocks.per_step), "fastest": min(blocks.per_step), "slowest": max(blocks.per_step)}
    told["passes"] = blocks.passes
    told["took"] = time.perf_counter() - began
    if on_cuda:
        told["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.empty_cache()  # other contestants need it
    return told


def main() -> None:
    """Answers come on the standard output that the process began with; what libraries print goes to the errors."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        setting = Setting(**asked["setting"])
        print(json.dumps(measure(sys.argv[1], setting, asked["seconds"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
