"""bench: operations that a training step asks of a GPU, counted where there is none

Why    Up to some millions of parameters a step on a GPU takes as long as the host needs to launch its kernels. Counted
       on the CPU with the operations that GPUs run (this project's CPU kernels off): every operation that makes or
       changes a tensor is one launch or more, views are none. AdamW is a single operation here, a few launches there.

    python -m tests.bench.launches --budgets 100K,2M,20M
"""

import argparse
from collections import Counter
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from finscale.model import patchtst
from finscale.model.patchtst import PatchTST
from tests.bench.peers import transformers_model
from tests.bench.race import BATCH, MODEL, Setting, as_found, bce

HOST_READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")
_NO_KERNEL = ("aten::detach", "aten::_unsafe_view", "aten::empty", "aten::empty_like", "aten::new_empty")


class Operations(TorchDispatchMode):
    """Counts the operations below autograd and autocast; views and bare allocations apart."""

    def __init__(self) -> None:
        super().__init__()
        self.launched: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name
        views = [one.alias_info for one in function._schema.returns if one.alias_info and not one.alias_info.is_write]
        if not views and name not in _NO_KERNEL:
            self.launched[name] += 1
        return function(*args, **(kwargs or {}))

    @property
    def host_reads(self) -> int:
        """Times at which the host waited for a tensor's value."""
        return sum(self.launched[name] for name in HOST_READS)


def operations(setting: Setting, model: torch.nn.Module, forward: Any) -> Counter[str]:
    """Of one step: forward, backward, clipping, AdamW."""
    x_BLC = torch.randn(BATCH, MODEL.context_length, setting.channels)
    y_B = (torch.rand(BATCH) < 0.3).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    for _ in range(2):  # the first makes the moments
        with Operations() as counted:
            optimizer.zero_grad(set_to_none=True)
            with as_found(setting).autocast():
                output_B: Tensor = forward(x_BLC)
            bce(output_B.float(), y_B).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return counted.launched


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.launches", description=__doc__)
    parser.add_argument("--budgets", default="100K,2M")
    parser.add_argument("--channels", type=int, default=20)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    given = parser.parse_args()
    patchtst._own_kernels = lambda _: False
    rows = []
    for budget in given.budgets.split(","):
        setting = Setting(budget, given.channels, given.precision, "cpu", 1)
        ours, theirs = PatchTST(setting.shape(), MODEL, setting.channels), transformers_model(setting)
        for name, model, forward in (
            ("ours", ours, ours),
            ("transformers", theirs, lambda x, of=theirs: of(past_values=x).prediction_logits.squeeze(1)),
        ):
            launched = operations(setting, model.train(), forward)
            most = ", ".join(f"{count} {name.removeprefix('aten::')}" for name, count in launched.most_common(8))
            rows.append([budget, setting.shape().n_layers, name, sum(launched.values()), most])
    print(tabulate(rows, ["budget", "layers", "model", "operations of a step", "most of them"], "github"))


if __name__ == "__main__":
    main()
