"""How labels enter the loss."""

from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from finscale.data.windows import Windows


class Criterion(Protocol):
    """What is minimised."""

    def loss(self, output_B: Tensor, label_B: Tensor) -> Tensor:
        """Mean over windows, in training units."""
        ...

    def reported(self, loss: float) -> float:
        """The loss in the units that it is told in."""
        ...


@dataclass(frozen=True)
class Target:
    """How labels enter the loss: binary ones as they are, returns z-scored on the train split."""

    binary: bool
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, train: Windows, binary: bool) -> "Target":
        if binary:
            return cls(binary=True)
        return cls(binary=False, mean=float(train.label.mean()), std=float(train.label.std(unbiased=False)))

    def loss(self, output_B: Tensor, label_B: Tensor) -> Tensor:
        """Mean log-loss of logits, or mean squared error in z-scored units."""
        if self.binary:
            return F.binary_cross_entropy_with_logits(output_B, label_B)
        return F.mse_loss(output_B, (label_B - self.mean) / self.std)

    def reported(self, loss: float) -> float:
        """The loss in the label's own units."""
        return loss if self.binary else loss * self.std**2
