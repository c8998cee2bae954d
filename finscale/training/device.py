"""Where a run computes, and how precisely."""

import ctypes
import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from finscale.errors import InputError
from finscale.model.kernels import use_onednn
from finscale.training.products import remembered

Precision = Literal["fp32", "bf16"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h

_BEST_FIRST = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class Compute:
    """A device, a precision and a thread count; together they decide a result to the last bit."""

    device: torch.device
    precision: Precision
    threads: int

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 for matrix products where chosen; weights and losses stay fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def wait(self) -> None:
        """Until the device has done what it was given; a CPU has."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def choose_compute(device: str, precision: str, threads: int) -> Compute:
    """Resolve `auto` and make torch deterministic. Raises InputError for an absent device."""
    chosen = next(filter(is_available, _BEST_FIRST)) if device == "auto" else device
    if not is_available(chosen):
        raise InputError(f"params.yaml: train.device = {device}: this machine has none; use auto or cpu")
    torch.set_num_threads(threads)
    if chosen == "cpu":
        products = remembered()
        use_onednn(products.onednn_pays)
    if precision == "auto":
        precision = "bf16" if _has_bf16(chosen) and (chosen != "cpu" or products.bf16_pays) else "fp32"
    # cuBLAS repeats itself with a workspace of its own only. And the backward passes of torch's attention on CUDA, told
    # to warn rather than to refuse, warn and take the algorithm that does not repeat itself.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # use_deterministic_algorithms sets the same, and loads the compiler, which takes longer than torch: see
    # `compiled`.
    torch.set_deterministic_debug_mode("error" if chosen == "cuda" else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # a write of every new tensor
    _keep_freed_memory()
    return Compute(torch.device(chosen), "bf16" if precision == "bf16" else "fp32", threads)


def compiled(model: torch.nn.Module) -> Any:
    """The model through torch.compile, which then keeps to deterministic algorithms as `choose_compute` has asked."""
    torch.use_deterministic_algorithms(True, warn_only=torch.is_deterministic_algorithms_warn_only_enabled())
    return torch.compile(model, dynamic=False)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse what a step frees.

    By default it hands activations back to the kernel after each use, and the next step faults them in page by page:
    a fifth of a bf16 step's time. Other C libraries do as they like.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's random generators that a run on this device draws from."""
    states = {"generator.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["generator.cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["generator.mps"] = torch.mps.get_rng_state()
    return states


def set_generator_states(device: torch.device, states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["generator.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["generator.cuda"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(states["generator.mps"])


def is_available(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_available()
    return device == "cpu" or torch.backends.mps.is_available()


def machine_name(device: torch.device) -> str:
    """What a run was computed on, such as 'NVIDIA H100 80GB HBM3', or for a CPU its kind, 'x86_64'."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    # CPUs without the instructions emulate bf16 and lose time; on mps it gains nothing.
    return device == "cpu" and torch.cpu._is_avx512_bf16_supported()
