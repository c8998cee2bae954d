"""What the contestants of tests.bench.engine share: the setting, the rows, the turns and the plain training loop.

Standard input holds the number of steps to do next, a line each; the answer is one line of JSON.

Shapes: B batch, L context, C channels.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from finscale.config import parse_budget
from finscale.data.windows import Windows
from finscale.model.config import ModelConfig
from finscale.model.shape import Shape, flops_per_window, solve
from finscale.training.device import Compute

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.1)
BATCH = 32
_ROWS = 4096


@dataclass(frozen=True)
class Setting:
    """What all contestants of one line of the table share."""

    budget: str
    channels: int
    precision: str
    device: str
    threads: int
    batch: int = BATCH

    def shape(self) -> Shape:
        return solve(parse_budget(self.budget), MODEL, self.channels)

    def flops_per_step(self) -> float:
        """Of forward and backward, as counted for one model and one batch."""
        return 3.0 * flops_per_window(self.shape(), MODEL, self.channels) * self.batch

    def rows(self) -> pd.DataFrame:
        random = np.random.default_rng(0)
        features = random.standard_normal((_ROWS, self.channels), dtype=np.float32)
        rows = pd.DataFrame(features, columns=[f"f{i}" for i in range(self.channels)])
        rows.insert(0, "date", pd.date_range("2000-01-03", periods=_ROWS, freq="B"))
        rows["asset"], rows["exit"] = "one", rows["date"]
        rows["split"] = np.where(np.arange(_ROWS) >= MODEL.context_length, "train", "none")
        rows["label"] = (random.random(_ROWS) < 0.3).astype(np.float32)
        return rows


class Turns:
    """Lets a loop go on when it is told to, and reports how long each step took."""

    def __init__(self, device: str) -> None:
        self._device, self._left, self._started = device, 0, 0.0
        self._seconds: list[float] = []
        self._before: int | None = None

    def begin(self) -> bool:
        """Before a step; False where the contest is over."""
        if self._before is None:
            self._before = self._peak()
        if self._left == 0:
            if self._seconds:
                print(
                    json.dumps({"seconds": self._seconds, "peak_bytes": self._peak() - (self._before or 0)}), flush=True
                )
            self._seconds, self._left = [], int(sys.stdin.readline() or 0)
        self._started = time.perf_counter()
        return self._left > 0

    def end(self) -> None:
        """After a step."""
        if self._device == "cuda":
            torch.cuda.synchronize()
        self._seconds.append(time.perf_counter() - self._started)
        self._left -= 1

    def _peak(self) -> int:
        if self._device == "cuda":
            return torch.cuda.max_memory_allocated()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def orders(windows: Windows, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Positions of whole batches, without end."""
    while True:
        yield from torch.randperm(len(windows)).to(device).split(batch)[:-1]


def batches(windows: Windows, batch: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for index_B in orders(windows, batch, device):
        yield windows.gather(index_B)


def plain_loop(
    model: nn.Module, logits: Callable[[Tensor], Tensor], data: Iterator[tuple[Tensor, Tensor]], compute: Compute,
    turns: Turns,
) -> None:  # fmt: skip
    """Forward, backward, clipping and AdamW, as the training loop does them."""
    model.to(compute.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    while turns.begin():
        x_BLC, y_B = next(data)
        optimizer.zero_grad(set_to_none=True)
        with compute.autocast():
            output_B = logits(x_BLC)
        bce(output_B.float(), y_B).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        turns.end()


def as_found(setting: Setting) -> Compute:
    """A peer's process: torch as it comes, but for the thread count."""
    torch.set_num_threads(setting.threads)
    return Compute(torch.device(setting.device), "bf16" if setting.precision == "bf16" else "fp32", setting.threads)
