"""What a budget costs: counts, FLOPs and memory, printed by `python -m finscale.model.budget 200M`."""

import argparse
from dataclasses import dataclass

import torch
from torch import Tensor

from finscale.config import format_budget, parse_budget
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, count, flops_per_window, solve

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """Bytes of one training step in one process: AdamW in fp32, and what the forward pass keeps for the backward."""

    weights: int
    gradients: int
    optimizer: int  # two moments
    best_weights: int  # the copy that early stopping returns to (host memory)
    activations: int
    casts: int = 0  # bf16: autocast's copies of the weights, kept from a forward pass to its backward
    layers: int = 0  # of several processes: the layers that are put together at a time

    @property
    def total(self) -> int:
        return sum(vars(self).values())


def training_memory(
    shape: Shape, model: ModelConfig, channels: int, batch: int, recompute: bool, precision: str = "fp32",
    processes: int = 1,
) -> Memory:  # fmt: skip
    """The sum for passes of `batch` windows, of which a step may take several: gradients are there from the second on.

    Activations are counted on a run without storage (the meta device), not estimated; in fp32, so that they are an
    upper bound for bf16. Of several processes each has its part of everything but the layer at work, the next one, and
    the gradients of one, which are whole (FSDP2).
    """
    whole = 4 * count(shape, model, channels).total
    weights = -(-whole // processes)
    activations = activation_bytes(shape, model, channels, -(-batch // processes), recompute)
    casts = whole // 2 if precision == "bf16" else 0
    layers = 3 * whole // shape.n_layers if processes > 1 else 0
    if processes > 1:
        casts //= shape.n_layers  # a layer's casts go with its weights
    return Memory(weights, weights, 2 * weights, weights, activations, casts, layers)


def activation_bytes(shape: Shape, model: ModelConfig, channels: int, batch: int, recompute: bool = False) -> int:
    """Bytes that autograd keeps for the backward pass of one batch in fp32 (bf16: about half).

    Each tensor is counted once, parameters not at all.

    With `recompute` one layer's worth is added to the layers' inputs: the largest moment of the backward pass.
    """
    with torch.device("meta"):
        network = PatchTST(shape, model, channels)
        whole = _saved_bytes(network, torch.empty(batch, model.context_length, channels))
        if not recompute:
            return whole
        single = PatchTST(Shape(shape.d_model, 1, shape.n_heads, shape.ffn_dim), model, channels)
        layer = _saved_bytes(single, torch.empty(batch, model.context_length, channels))
    return layer + 4 * shape.n_layers * batch * channels * model.num_tokens * shape.d_model


def _saved_bytes(network: PatchTST, x_BLC: Tensor) -> int:
    parameters = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage's identity is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(x_BLC).sum()
    return sum(kept.values())


def report(budget: int, channels: int, model: ModelConfig, batch: int, processes: int = 1) -> str:
    """The shape of a budget and what it costs, as lines of text; memory of each of so many processes."""
    shape = solve(budget, model, channels)
    counts = count(shape, model, channels)
    flops = flops_per_window(shape, model, channels)
    lines = [
        f"budget      {format_budget(budget)}, {channels} channels, context {model.context_length}, "
        f"{model.num_patches} patches of {model.patch_length} days",
        f"shape       d_model {shape.d_model}, {shape.n_layers} layers, {shape.n_heads} heads, ffn_dim {shape.ffn_dim}",
        f"parameters  {counts.total:,} ({counts.total / budget - 1:+.2%}): embedding {counts.embedding:,}, "
        f"body {counts.body:,}, head {counts.head:,}",
        f"FLOPs       {flops:.4g} per window forward, {3 * flops:.4g} with the backward pass",
    ]
    each = f" in each of {processes} processes" if processes > 1 else ""
    for recompute, precision in ((False, "fp32"), (True, "fp32"), (True, "bf16")):
        memory = training_memory(shape, model, channels, batch, recompute, precision, processes)
        kind = "recomputed" if recompute else "kept"
        casts = f" + bf16 weights {memory.casts / GIB:.3g}" if memory.casts else ""
        casts += f" + layers at work {memory.layers / GIB:.3g}" if memory.layers else ""
        lines.append(
            f"memory      {memory.total / GIB:.3g} GiB{each} at batch {batch}, {precision}, activations {kind}: "
            f"weights {memory.weights / GIB:.3g} + gradients {memory.gradients / GIB:.3g} + "
            f"AdamW {memory.optimizer / GIB:.3g} + best weights {memory.best_weights / GIB:.3g} + "
            f"activations {memory.activations / GIB:.3g}{casts}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m finscale.model.budget", description=__doc__)
    parser.add_argument("budget", type=parse_budget, help="such as 150K, 20M or 2B")
    parser.add_argument("--channels", type=int, default=20, help="features of the tier (20)")
    parser.add_argument("--context", type=int, default=60, help="train.model.context_length (60)")
    parser.add_argument("--batch", type=int, default=32, help="windows of one forward pass (32)")
    parser.add_argument("--processes", type=int, default=1, help="that share the model (FINSCALE_PROCESSES)")
    given = parser.parse_args()
    model = ModelConfig(context_length=given.context, patch_length=16, patch_stride=8, dropout=0.1)
    print(report(given.budget, given.channels, model, given.batch, given.processes))


if __name__ == "__main__":
    main()
