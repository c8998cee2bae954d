"""The largest number of windows that one forward and backward pass can take.

Doubling until memory runs out, then 80 % of the largest that fitted (SPEC 8), remembered per model and device: the
search costs seconds, and a run that resumes must not search again.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch
from torch import nn

from finscale.errors import InputError
from finscale.model.budget import training_memory
from finscale.model.config import ModelConfig
from finscale.model.shape import Shape
from finscale.storage import read_json, write_json
from finscale.training.device import Compute, Precision

_SHARE = 0.8


def find_batch_size(fits: Callable[[int], bool], limit: int) -> int:
    """80 % of the largest power of two that fits, at most `limit`. Raises InputError where not even one does."""
    batch = 1
    if not fits(batch):
        raise InputError("train.micro_batch: not one window fits into memory; set train.recompute or a smaller budget")
    while batch < limit and fits(2 * batch):
        batch *= 2
    return limit if batch >= limit else max(1, int(_SHARE * batch))


def remembered(file: Path, key: dict[str, object], find: Callable[[], int]) -> int:
    """find(), once per key; `file` keeps the answers."""
    known = read_json(file) if file.exists() else {}
    name = json.dumps(key, sort_keys=True)
    if name not in known:
        known[name] = find()
        write_json(file, known)
    return int(known[name])


def memory_key(shape: Shape, model: ModelConfig, channels: int, recompute: bool, compute: Compute) -> dict[str, object]:
    """All that decides how much fits: the model, and the device with its memory."""
    kind = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else compute.device.type
    return {
        "shape": asdict(shape), "model": model.model_dump(), "channels": channels, "recompute": recompute,
        "precision": compute.precision, "device": kind, "memory": device_memory(compute.device),
    }  # fmt: skip


def device_memory(device: torch.device) -> int:
    """Bytes of memory of the device; the machine's own for cpu and mps."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def fits_in_host_memory(
    shape: Shape, model: ModelConfig, channels: int, recompute: bool, precision: Precision
) -> Callable[[int], bool]:
    """By sum, for cpu and mps: a host that runs out of memory ends the process instead of saying so."""
    available = int(psutil.virtual_memory().available)
    return lambda batch: training_memory(shape, model, channels, batch, recompute, precision).total <= available


def fits_on_cuda(network: nn.Module, windows: Callable[[int], torch.Tensor], compute: Compute) -> Callable[[int], bool]:
    """By trial, for cuda: a forward and backward pass that the allocator refuses does not fit.

    Beside it lies what training will hold and the trial does not: two moments and the best weights.
    """
    held = 3 * sum(parameter.numel() for parameter in network.parameters())

    def attempt(batch: int) -> bool:
        with torch.random.fork_rng(devices=[compute.device]):
            try:
                _beside = torch.empty(held, device=compute.device)
                with compute.autocast():
                    output = network(windows(batch))
                output.float().sum().backward()
            except torch.cuda.OutOfMemoryError:
                return False
            finally:
                network.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        return True

    return attempt
