"""How fast this processor multiplies matrices, in bf16 and in fp32: measured once per machine, then remembered.

A processor may have bf16 instructions and be slower with them: a Xeon of 2023 without the tiles of AMX reaches 57
GFLOP/s in bf16 and 100 in fp32. One product decides for all sizes, so that a ladder has one precision: what a layer of
100K parameters asks of a batch of 32 windows of 20 channels.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from finscale.errors import InputError
from finscale.model import kernels
from finscale.storage import write_json

ROWS, WIDTH, INNER = 3200, 64, 256
_ROUNDS = 15
# Results hang on the choice: it must not change with what else the machine does while it is measured.
_CLEARLY = 1.2


@dataclass(frozen=True)
class Products:
    """GFLOP/s of a product in bf16, and in fp32 by oneDNN and by what torch takes by itself."""

    bf16: float
    onednn: float
    torch: float

    @property
    def bf16_pays(self) -> bool:
        """Unless fp32 is clearly faster: bf16 also moves half the bytes."""
        return max(self.onednn, self.torch) < _CLEARLY * self.bf16

    @property
    def onednn_pays(self) -> bool:
        return self.torch < _CLEARLY * self.onednn


def remembered() -> Products:
    """Of this processor, torch and thread count; measured where nobody has yet. Kept in the user's cache folder."""
    key = f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finscale/products.json"
    known = _read(path)
    if key not in known:
        known[key] = asdict(measured())
        with suppress(InputError, OSError):  # a home that is not there, or read only: measured again next time
            write_json(path, known)
    return Products(**known[key])


def measured() -> Products:
    """The best of some rounds each, taken in turns."""
    x, weight = torch.randn(ROWS, WIDTH), torch.randn(INNER, WIDTH)
    x_half, weight_half = x.bfloat16(), weight.bfloat16()
    ways: dict[str, Callable[[], Tensor]] = {
        "bf16": lambda: F.linear(x_half, weight_half),
        "onednn": lambda: kernels.by_onednn(x, weight),
        "torch": lambda: F.linear(x, weight),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - began)
    flops = 2 * ROWS * WIDTH * INNER
    return Products(**{name: round(flops / seconds / 1e9, 1) for name, seconds in best.items()})


def processor() -> str:
    """The CPU's own name: figures of one are not those of another."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line for line in lines if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _read(path: Path) -> dict[str, dict[str, float]]:
    """What is remembered; nothing where the file is missing, damaged or of another form."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): asdict(Products(**one)) for key, one in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
