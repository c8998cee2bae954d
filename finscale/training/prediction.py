"""What a model says of windows."""

import numpy as np
import torch

from finscale.data.windows import Windows
from finscale.model.patchtst import PatchTST
from finscale.training.device import Compute
from finscale.training.target import Criterion, Target

_WINDOWS = {"cuda": 4096}  # of one pass, at most
_WINDOWS_ELSEWHERE = 256
_NUMBERS = 1 << 28  # of one tensor, at most: 1 GiB in fp32


def mean_loss(model: PatchTST, windows: Windows, target: Criterion, compute: Compute) -> float:
    """The loss over all windows, in training units."""
    outputs = torch.from_numpy(predict(model, windows, compute))
    return float(target.loss(outputs, windows.label.cpu()))


def outputs_in_units(model: PatchTST, windows: Windows, target: Target, compute: Compute) -> np.ndarray:
    """One output per window in order, as float64: a logit, or a return in the label's own units."""
    output = predict(model, windows, compute).astype(float)
    return output if target.binary else output * target.std + target.mean


@torch.no_grad()
def predict(model: PatchTST, windows: Windows, compute: Compute) -> np.ndarray:
    """The model's raw outputs (logits, or z-scored returns), one per window in order."""
    model.eval()
    positions = torch.arange(len(windows), device=compute.device)
    at_most = _WINDOWS.get(compute.device.type, _WINDOWS_ELSEWHERE)
    of_a_pass = max(1, min(at_most, _NUMBERS // model.numbers_per_window(windows.channels)))
    with compute.autocast():
        outputs = [model(windows.gather(index_B)[0]).float() for index_B in positions.split(of_a_pass)]
    return torch.cat(outputs).cpu().numpy()  # read once: each reading waits for the device
