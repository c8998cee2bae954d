"""The training loop: seeded, warm-up and cosine, clipping, early stopping, best weights back.

Shapes: B batch, L context, C channels.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finscale.errors import InputError
from finscale.training.config import TrainConfig
from finscale.training.device import Compute
from finscale.windows import Windows

_EVALUATION_BATCH = 256


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


@dataclass(frozen=True)
class Epoch:
    """What one epoch reports. Losses are log-loss in nats, or MSE in squared returns."""

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    is_best: bool


@dataclass(frozen=True)
class FitResult:
    best_epoch: int
    validation_loss: float
    epochs_run: int
    steps: int
    windows_seen: int


def fit(
    model: nn.Module,
    train: Windows,
    validation: Windows,
    target: Target,
    config: TrainConfig,
    compute: Compute,
    seed: int,
    on_epoch: Callable[[Epoch], None],
) -> FitResult:
    """Train until early stopping or the last epoch and leave the best epoch's weights in `model`.

    Raises InputError where the loss stops being a number.
    """
    total_steps = config.epochs * math.ceil(len(train) / config.batch_size)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, total_steps, config)
    )
    best_loss, best_epoch, best_weights = math.inf, 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        train_loss = _train_epoch(model, train, order, target, config, compute, optimizer, schedule)
        validation_loss = target.reported(mean_loss(model, validation, target, compute))
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            raise InputError(
                f"training diverged in epoch {epoch} (train loss {train_loss}, validation loss {validation_loss}); "
                f"lower train.learning_rate = {config.learning_rate} or train.clip_norm = {config.clip_norm}"
            )
        if is_best := validation_loss < best_loss:
            best_loss, best_epoch, best_weights = validation_loss, epoch, copy.deepcopy(model.state_dict())
        rate = float(schedule.get_last_lr()[0])
        on_epoch(Epoch(epoch, target.reported(train_loss), validation_loss, rate, is_best))
        if epoch - best_epoch >= config.patience:
            break
    model.load_state_dict(best_weights)
    return FitResult(best_epoch, best_loss, epoch, schedule.last_epoch, epoch * len(train))


def learning_rate_factor(step: int, total_steps: int, config: TrainConfig) -> float:
    """Multiplier of the peak learning rate: linear warm-up, then cosine to the final rate."""
    warmup = round(config.warmup_fraction * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    floor = config.final_learning_rate / config.learning_rate
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def _train_epoch(
    model: nn.Module,
    windows: Windows,
    order: Tensor,
    target: Target,
    config: TrainConfig,
    compute: Compute,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
) -> float:
    """One pass over every window; returns the mean loss."""
    model.train()
    total = torch.zeros((), device=compute.device)
    for index_B in order.to(compute.device).split(config.batch_size):
        x_BLC, y_B = windows.gather(index_B)
        with compute.autocast():
            output_B = model(x_BLC)
        loss = target.loss(output_B.float(), y_B)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
        total += loss.detach() * len(index_B)
    return float(total) / len(windows)


def mean_loss(model: nn.Module, windows: Windows, target: Target, compute: Compute) -> float:
    """The loss over all windows, in training units."""
    outputs = torch.from_numpy(predict(model, windows, compute))
    return float(target.loss(outputs, windows.label.cpu()))


@torch.no_grad()
def predict(model: nn.Module, windows: Windows, compute: Compute) -> np.ndarray:
    """The model's raw outputs (logits, or z-scored returns), one per window in order."""
    model.eval()
    positions = torch.arange(len(windows), device=compute.device)
    with compute.autocast():
        outputs = [model(windows.gather(index_B)[0]).float().cpu() for index_B in positions.split(_EVALUATION_BATCH)]
    return torch.cat(outputs).numpy()
