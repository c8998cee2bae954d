"""bench: the largest model that this machine's memory trains, and whether the sum that says so is right

Why    "2B parameters fit one 128 GB device" is a sum. Here the same sum picks the largest budget for the memory there
       is, and three real steps of it, through the trainer, are held against what the process really took.

    python -m tests.bench.largest --limit 12 --threads 2        GiB; by default what is available, less 4
"""

import argparse
import resource
import sys
import time

import psutil
import torch
from tabulate import tabulate

from finscale.config import format_budget
from finscale.data.bars import adjust
from finscale.data.windows import Windows
from finscale.model.budget import GIB, Memory, training_memory
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, solve
from finscale.sources import bundled
from finscale.training.config import TrainConfig
from finscale.training.device import choose_compute
from finscale.training.interrupt import RunStoppedError, StopRequest
from finscale.training.loop import Trainer
from finscale.training.target import Target
from tests.conftest import rows_of

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.1)
STEPS = 3
_BUDGETS = [first * 10**power for power in range(4, 9) for first in range(10, 100)] + [10**9, 15 * 10**8, 2 * 10**9]


class AfterSteps(StopRequest):
    """Asked between steps: stops the run after the third, and keeps the times."""

    def __init__(self) -> None:
        super().__init__()
        self.times = [time.perf_counter()]

    def __bool__(self) -> bool:
        self.times.append(time.perf_counter())
        return len(self.times) > STEPS


def largest(limit: int, channels: int, precision: str, micro_batch: int) -> tuple[int, Shape, Memory]:
    """The largest budget of two digits whose sum is at most `limit` bytes: by bisection, for the sum grows with it."""
    low, high, found = 0, len(_BUDGETS), None
    while low < high:
        middle = (low + high) // 2
        shape = solve(_BUDGETS[middle], MODEL, channels)
        memory = training_memory(shape, MODEL, channels, micro_batch, recompute=True, precision=precision)
        if memory.total <= limit:
            low, found = middle + 1, (_BUDGETS[middle], shape, memory)
        else:
            high = middle
    if found is None:
        sys.exit(f"not even {format_budget(_BUDGETS[0])} fits into {limit / GIB:.2f} GiB")
    return found


def resident() -> int:
    return psutil.Process().memory_info().rss


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.largest")
    parser.add_argument("--limit", type=float, default=psutil.virtual_memory().available / GIB - 4)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--micro-batch", type=int, default=1)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    compute = choose_compute("cpu", given.precision, given.threads)
    rows = rows_of(adjust(bundled.fetch("SP500")).set_index("date"))
    data = [Windows(rows, split, MODEL.context_length, compute.device) for split in ("train", "validation")]
    before = resident()
    limit = round(given.limit * GIB) - before
    budget, shape, memory = largest(limit, data[0].channels, given.precision, given.micro_batch)
    print(f"{format_budget(budget)}: {shape}, {given.precision}, batch {given.batch} in passes of {given.micro_batch}")
    torch.manual_seed(0)
    network = PatchTST(shape, MODEL, data[0].channels, recompute=True)
    config = TrainConfig(
        model=MODEL, epochs=1, patience=1, batch_size=given.batch, micro_batch=given.micro_batch, recompute=True,
        learning_rate=1e-4, final_learning_rate=1e-6, weight_decay=0.01, betas=(0.9, 0.999), warmup_fraction=0.1,
        clip_norm=1.0, precision=given.precision, device="cpu", threads=given.threads,
    )  # fmt: skip
    trainer = Trainer(network, *data, Target.of(data[0], binary=True), config, compute, seed=0)
    trainer.stop = stop = AfterSteps()
    try:
        trainer.fit(lambda epoch: None)
    except RunStoppedError:
        seconds = [after - at for at, after in zip(stop.times[:-1], stop.times[1:], strict=True)]
    taken = peak() - before
    table = [[name, value / GIB] for name, value in vars(memory).items()]
    table += [["predicted, GiB", memory.total / GIB], ["measured, GiB", taken / GIB]]
    table += [["measured / predicted", taken / memory.total]]
    table += [[f"seconds of step {step}", value] for step, value in enumerate(seconds, 1)]
    print(tabulate(table, floatfmt=".2f", tablefmt="plain"))
    print("losses of the steps:", ", ".join(f"{loss:.4f}" for loss in trainer._loss_S[:STEPS].tolist()))


if __name__ == "__main__":
    main()
