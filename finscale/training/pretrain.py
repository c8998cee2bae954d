"""Pretraining: the training loop itself, on masked patches of the training windows; labels are not read.

    MaskedPatches, from the seed -> trained, or gone on with -> the encoder that training on labels starts from

Batch size, weight decay, clipping, warm-up, validations and patience are those of training, each counted anew; passes
and peak learning rate are its own (train.pretrain). The head that reconstructs is thrown away and in no budget.
"""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from finscale.errors import InputError
from finscale.model.masked import MaskedPatches
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.training.config import TrainConfig
from finscale.training.progress import Epoch, FitResult


@dataclass(frozen=True)
class Reconstruction:
    """How the errors of masked patches enter the loss: their mean, in units of the normed window."""

    def loss(self, output_B: Tensor, label_B: Tensor) -> Tensor:
        del label_B
        return output_B.mean()

    def reported(self, loss: float) -> float:
        return loss


@dataclass(frozen=True)
class Pretrained:
    """weights: the encoder's; epochs: of pretraining; head: parameters of the head that was thrown away."""

    weights: dict[str, Tensor]
    result: FitResult
    epochs: list[Epoch]
    head: int
    seconds: float

    def start(self, network: PatchTST) -> None:
        """Put the encoder into a fresh model, whose head stays as it was drawn."""
        of_head = {name: tensor for name, tensor in network.state_dict().items() if name not in self.weights}
        network.load_state_dict(self.weights | of_head)

    def told(self) -> dict[str, Any]:
        """What goes into the record of the run."""
        return {"pretraining": asdict(self.result) | {"params_head": self.head}}

    def table(self) -> pd.DataFrame:
        """One row per epoch."""
        return pd.DataFrame([asdict(epoch) for epoch in self.epochs]).drop(columns="is_best")


def masked_model(shape: Shape, config: TrainConfig, channels: int, seed: int) -> MaskedPatches:
    """A freshly initialised model. Raises InputError where no patch of a window would be hidden, or all."""
    check(config)
    torch.manual_seed(seed)
    return MaskedPatches(shape, config.model, channels, config.pretrain.mask_ratio, config.recompute)


def settings(config: TrainConfig) -> TrainConfig:
    """Training's settings with what pretraining has of its own."""
    own = config.pretrain
    changed = {"epochs": own.epochs, "max_windows": None, "learning_rate": own.learning_rate}
    return config.model_copy(update=changed)


def check(config: TrainConfig) -> None:
    """Raise InputError where no patch of a window would be hidden, or all."""
    patches = config.model.num_patches
    kept = int(patches * (1 - config.pretrain.mask_ratio))
    if not 0 < kept < patches:
        raise InputError(
            f"params.yaml: train.pretrain.mask_ratio = {config.pretrain.mask_ratio} hides {patches - kept} of "
            f"{patches} patches; take another, or shorter patches (train.model.patch_length)"
        )
