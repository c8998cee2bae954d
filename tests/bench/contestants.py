"""One contestant of tests.bench.engine in a process of its own: it trains on command and tells how long steps took.

A process each, because allocator, thread and determinism settings are a process's: a peer must neither gain from ours
nor suffer from them. Standard input holds the number of steps to do next, a line each; the answer is one line of JSON.
All see the same rows, labels, batch size, loss, clipping and optimizer; how windows reach the model is each one's own.

Shapes: B batch, L context, C channels, K stacked models.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.utils.data import DataLoader, Dataset

from finscale.config import parse_budget
from finscale.model import patchtst
from finscale.model.budget import Shape, flops_per_window, solve
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.transformers_format import config_of
from finscale.training.device import Compute, choose_compute
from finscale.windows import Windows

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.1)
BATCH = 32
STACKED = 4
_ROWS = 4096
_ENDLESS = 10**9


@dataclass(frozen=True)
class Setting:
    """What all contestants of one line of the table share."""

    budget: str
    channels: int
    precision: str
    device: str
    threads: int

    def shape(self) -> Shape:
        return solve(parse_budget(self.budget), MODEL, self.channels)

    def flops_per_step(self) -> float:
        """Of forward and backward, as counted for one model and one batch."""
        return 3.0 * flops_per_window(self.shape(), MODEL, self.channels) * BATCH

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


def batches(windows: Windows, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        for index_B in torch.randperm(len(windows)).to(device).split(BATCH)[:-1]:
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


def ours(setting: Setting, turns: Turns, compiled: bool = False) -> None:
    compute = choose_compute(setting.device, setting.precision, setting.threads)
    windows = Windows(setting.rows(), "train", MODEL.context_length, compute.device)
    model = PatchTST(setting.shape(), MODEL, setting.channels)
    logits = torch.compile(model, mode="reduce-overhead" if setting.device == "cuda" else None) if compiled else model
    plain_loop(model, logits, batches(windows, compute.device), compute, turns)


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
        for each in zip(*(batches(windows, compute.device) for _ in range(STACKED)), strict=True):
            yield torch.stack([x for x, _ in each]), torch.stack([y for _, y in each])

    plain_loop(stacked, logits, stack(), compute, turns)


class Slices(Dataset[dict[str, Tensor]]):
    """Windows for a DataLoader, cut from the matrix one at a time."""

    def __init__(self, rows: pd.DataFrame, channels: int, target: str) -> None:
        self._matrix = torch.from_numpy(rows[[f"f{i}" for i in range(channels)]].to_numpy(copy=True))
        self._label = torch.from_numpy(rows["label"].to_numpy(dtype=np.float32, copy=True))
        self._target = target

    def __len__(self) -> int:
        return len(self._matrix) - MODEL.context_length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        end = index + MODEL.context_length
        return {"past_values": self._matrix[index + 1 : end + 1], self._target: self._label[end]}


def loaded(setting: Setting, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(Slices(setting.rows(), setting.channels, "label"), BATCH, shuffle=True, drop_last=True)
    while True:
        for batch in loader:
            yield batch["past_values"].to(device), batch["label"].to(device)


def as_found(setting: Setting) -> Compute:
    """A peer's process: torch as it comes, but for the thread count."""
    torch.set_num_threads(setting.threads)
    return Compute(torch.device(setting.device), "bf16" if setting.precision == "bf16" else "fp32", setting.threads)


def transformers_model(setting: Setting) -> Any:
    from transformers import PatchTSTConfig, PatchTSTForClassification

    config = PatchTSTConfig(**config_of(setting.shape(), MODEL, setting.channels, "classification"))
    return PatchTSTForClassification(config)


def transformers(setting: Setting, turns: Turns) -> None:
    compute, model = as_found(setting), transformers_model(setting)

    def logits(x_BLC: Tensor) -> Tensor:
        output: Tensor = model(past_values=x_BLC).prediction_logits.squeeze(1)
        return output

    plain_loop(model, logits, loaded(setting, compute.device), compute, turns)


def transformers_trainer(setting: Setting, turns: Turns) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Paced(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not turns.begin():
                os._exit(0)  # Trainer has no way out before the step that it has begun

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            turns.end()

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return bce(outputs.prediction_logits.squeeze(1).float(), labels)

    as_found(setting)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, per_device_train_batch_size=BATCH, max_steps=_ENDLESS, report_to="none", logging_strategy="no",
            save_strategy="no", disable_tqdm=True, remove_unused_columns=False, optim="adamw_torch_fused",
            max_grad_norm=1.0, learning_rate=1e-4, use_cpu=setting.device == "cpu", bf16=setting.precision == "bf16",
            dataloader_drop_last=True,
        )  # fmt: skip
        data = Slices(setting.rows(), setting.channels, "labels")
        Trainer(
            transformers_model(setting), arguments, train_dataset=data, compute_loss_func=loss, callbacks=[Paced()]
        ).train()


def neuralforecast(setting: Setting, turns: Turns) -> None:
    """Its PatchTST of the same encoder shape in a plain loop: it knows single series, so a window is C of them.

    It pads every series by one stride, so that it has one patch more.
    """
    from neuralforecast.models import PatchTST as Theirs

    shape, compute = setting.shape(), as_found(setting)
    model = Theirs(
        h=1, input_size=MODEL.context_length, encoder_layers=shape.n_layers, n_heads=shape.n_heads,
        hidden_size=shape.d_model, linear_hidden_size=shape.ffn_dim, dropout=MODEL.dropout, fc_dropout=MODEL.dropout,
        patch_len=MODEL.patch_length, stride=MODEL.patch_stride,
    )  # fmt: skip
    head = nn.Linear(setting.channels, 1)

    def logits(x_BLC: Tensor) -> Tensor:
        series = x_BLC.transpose(1, 2).reshape(-1, MODEL.context_length, 1)
        return head(model({"insample_y": series}).view(len(x_BLC), -1)).squeeze(1)

    plain_loop(nn.ModuleList([model, head]), logits, loaded(setting, compute.device), compute, turns)


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
    "transformers, plain loop": transformers,
    "transformers, Trainer": transformers_trainer,
    "neuralforecast": neuralforecast,
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
