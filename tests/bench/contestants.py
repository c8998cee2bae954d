"""One contestant of tests.bench.engine in a process of its own: it trains on command and tells how long steps took.

A process each, because allocator, thread and determinism settings are a process's: a peer must neither gain from ours
nor suffer from them. All see the same rows, labels, batch size, loss, clipping and optimizer; how windows reach the
model is each one's own.

Shapes: B batch, L context, C channels, K stacked models.
"""

import json
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from finscale.data.windows import Windows
from finscale.model import patchtst
from finscale.model.patchtst import PatchTST
from finscale.training.device import choose_compute
from tests.bench import peers
from tests.bench.race import MODEL, Setting, Turns, as_found, batches, plain_loop

STACKED = 4


def ours(setting: Setting, turns: Turns, compiled: bool = False) -> None:
    compute = choose_compute(setting.device, setting.precision, setting.threads)
    windows = Windows(setting.rows(), "train", MODEL.context_length, compute.device)
    model = PatchTST(setting.shape(), MODEL, setting.channels)
    logits = torch.compile(model, mode="reduce-overhead" if setting.device == "cuda" else None) if compiled else model
    plain_loop(model, logits, batches(windows, setting.batch, compute.device), compute, turns)


def ours_stacked(setting: Setting, turns: Turns) -> None:
    """STACKED seeds as one model by torch.func; a step is one batch for each of them."""
    patchtst._own_kernels = lambda _: False  # vmap knows torch's operations only
    compute = choose_compute(setting.device, setting.precision, setting.threads)
    windows = Windows(setting.rows(), "train", MODEL.context_length, compute.device)
    seeds = [PatchTST(setting.shape(), MODEL, setting.channels).to(compute.device) for _ in range(STACKED)]
    weights, buffers = torch.func.stack_module_state(seeds)
    stacked = nn.ParameterDict({name.replace(".", "/"): weight for name, weight in weights.items()})
    one = seeds[0].train()

    def of_one(weights: dict[str, Tensor], buffers: dict[str, Tensor], x_BLC: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(one, (weights, buffers), (x_BLC,))
        return output

    def logits(x_KBLC: Tensor) -> Tensor:
        by_name = {name.replace("/", "."): weight for name, weight in stacked.items()}
        output: Tensor = torch.vmap(of_one, randomness="different")(by_name, buffers, x_KBLC)
        return output

    def stack() -> Iterator[tuple[Tensor, Tensor]]:
        for each in zip(*(batches(windows, setting.batch, compute.device) for _ in range(STACKED)), strict=True):
            yield torch.stack([x for x, _ in each]), torch.stack([y for _, y in each])

    plain_loop(stacked, logits, stack(), compute, turns)


def matmul(setting: Setting, turns: Turns) -> None:
    """Square products: torch.matmul's."""
    compute = as_found(setting)
    dtype = torch.bfloat16 if compute.precision == "bf16" else torch.float32
    square = torch.randn(2 * [matmul_size(setting.device)], device=compute.device, dtype=dtype)
    while turns.begin():
        square @ square
        turns.end()


def matmul_onednn(setting: Setting, turns: Turns) -> None:
    """The same by oneDNN, which is the faster one in fp32 on some processors."""
    torch.set_num_threads(setting.threads)
    square = torch.randn(2 * [matmul_size("cpu")])
    while turns.begin():
        torch.ops.mkldnn._linear_pointwise(square, square, None, "none", [], "")
        turns.end()


def matmul_size(device: str) -> int:
    return 8192 if device == "cuda" else 1536


CONTESTANTS: dict[str, Callable[[Setting, Turns], None]] = {
    "ours": ours,
    "ours, compiled": lambda setting, turns: ours(setting, turns, compiled=True),
    f"ours, {STACKED} seeds stacked": ours_stacked,
    "transformers, plain loop": peers.transformers,
    "transformers, Trainer": peers.transformers_trainer,
    "neuralforecast": peers.neuralforecast,
    "matmul": matmul,
    "matmul, oneDNN": matmul_onednn,
}


def main() -> None:
    name, setting = sys.argv[1], Setting(**json.loads(sys.argv[2]))
    torch.manual_seed(0)
    turns = Turns(setting.device)
    CONTESTANTS[name](setting, turns)


if __name__ == "__main__":
    main()
