"""bench: windows per second of a training step, ours against transformers' PatchTST in a plain loop

Why    forward, backward, clipping and AdamW of both on the same shape, data, batch, device and thread count, in one
       interleaved run; medians. The share of the machine's own matmul peak says how much is left to gain.

    python -m tests.bench.engine --budgets 100K,1M --channels 20 --threads 1 --rounds 7
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from tabulate import tabulate
from torch import Tensor, nn
from transformers import PatchTSTConfig, PatchTSTForClassification

from finscale.config import parse_budget
from finscale.model.budget import Shape, flops_per_window, solve
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.transformers_format import config_of
from finscale.training.device import Compute, Precision, choose_compute

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.1)
BATCH = 32

Step = Callable[[], None]


def training_step(model: nn.Module, logits: Callable[[Tensor], Tensor], compute: Compute, channels: int) -> Step:
    """One step on resident data, as the training loop does it."""
    torch.manual_seed(0)
    x_BLC = torch.randn(BATCH, MODEL.context_length, channels, device=compute.device)
    y_B = (torch.rand(BATCH, device=compute.device) < 0.3).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    model.to(compute.device).train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with compute.autocast():
            output_B = logits(x_BLC)
        nn.functional.binary_cross_entropy_with_logits(output_B.float(), y_B).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def contestants(shape: Shape, channels: int, compute: Compute, compiled: bool) -> dict[str, Step]:
    ours = PatchTST(shape, MODEL, channels)
    theirs = PatchTSTForClassification(PatchTSTConfig(**config_of(shape, MODEL, channels, "classification")))
    steps = {
        "ours": training_step(ours, ours, compute, channels),
        "transformers": training_step(
            theirs, lambda x: theirs(past_values=x).prediction_logits.squeeze(1), compute, channels
        ),
    }
    if compiled:
        again = PatchTST(shape, MODEL, channels)
        steps["ours, compiled"] = training_step(again, torch.compile(again), compute, channels)
    return steps


def seconds_of(step: Step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def interleaved(steps: dict[str, Step], rounds: int, at_least: float = 0.15) -> dict[str, list[float]]:
    """Seconds per step of each, measured in turns, so that a slow moment of the machine meets all."""
    repeats = {}
    for name, step in steps.items():
        step()
        repeats[name] = max(1, round(at_least / min(seconds_of(step) for _ in range(2))))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(median(seconds_of(step) for _ in range(repeats[name])))
    return times


def matmul_peak(precision: Precision, device: torch.device) -> float:
    """FLOP/s of a large square matrix product on this machine, now."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    size = 8192 if device.type == "cuda" else 1536
    left = torch.randn(size, size, device=device, dtype=dtype)

    def product() -> None:
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize()

    return 2 * size**3 / median(interleaved({"matmul": product}, 5)["matmul"])


def rows_of(budget: str, channels: int, compute: Compute, rounds: int, compiled: bool) -> list[list[str]]:
    shape = solve(parse_budget(budget), MODEL, channels)
    flops = 3 * flops_per_window(shape, MODEL, channels)
    peak = matmul_peak(compute.precision, compute.device)
    times = interleaved(contestants(shape, channels, compute, compiled), rounds)
    plain = BATCH / median(times["transformers"])
    rows = []
    for name, seconds in times.items():
        rate = BATCH / median(seconds)
        spread = f"{BATCH / max(seconds):,.0f} to {BATCH / min(seconds):,.0f}"
        share = f"{rate * flops / peak:.0%} of {peak / 1e9:,.0f}"
        rows.append(
            [budget, str(channels), compute.precision, name, f"{rate:,.0f}", spread, f"{rate / plain:.2f}", share]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", default="100K,1M,2M")
    parser.add_argument("--channels", default="20,100")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="also ours under torch.compile")
    given = parser.parse_args()
    rows = []
    for precision in given.precisions.split(","):
        compute = choose_compute(given.device, precision, given.threads)
        for budget in given.budgets.split(","):
            for channels in map(int, given.channels.split(",")):
                rows += rows_of(budget, channels, compute, given.rounds, given.compile)
    headers = [
        "budget",
        "channels",
        "precision",
        "model",
        "windows/s",
        "range",
        "x transformers",
        "GFLOP/s: share of peak",
    ]
    print(
        f"batch {BATCH}, {given.threads} thread(s), {compute.device}, torch {torch.__version__}, {given.rounds} rounds"
    )
    print(tabulate(rows, headers=headers, disable_numparse=True, stralign="right"))


if __name__ == "__main__":
    main()
