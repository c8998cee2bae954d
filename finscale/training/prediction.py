"""What a model says of windows: all that calibrating and evaluating need of training."""

import numpy as np
import torch
from torch import nn

from finscale.training.device import Compute
from finscale.training.target import Target
from finscale.windows import Windows

_BATCH = 256  # windows


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
        outputs = [model(windows.gather(index_B)[0]).float().cpu() for index_B in positions.split(_BATCH)]
    return torch.cat(outputs).numpy()
