"""The peers that tests.bench.engine measures against, each as its own users would run it.

Shapes: B batch, L context, C channels.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from finscale.model.transformers_format import config_of
from tests.bench.race import MODEL, Setting, Turns, as_found, bce, plain_loop

_ENDLESS = 10**9


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
    loader = DataLoader(Slices(setting.rows(), setting.channels, "label"), setting.batch, shuffle=True, drop_last=True)
    while True:
        for batch in loader:
            yield batch["past_values"].to(device), batch["label"].to(device)


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
            folder, per_device_train_batch_size=setting.batch, max_steps=_ENDLESS, report_to="none", disable_tqdm=True,
            logging_strategy="no", save_strategy="no", remove_unused_columns=False, optim="adamw_torch_fused",
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
