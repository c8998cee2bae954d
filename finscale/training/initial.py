"""The model that a run starts from."""

import math

import torch

from finscale.data.windows import Windows
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, check_within_budget
from finscale.training.config import TrainConfig
from finscale.training.target import Target


def initial_model(
    shape: Shape, config: TrainConfig, budget: int, train: Windows, target: Target, seed: int
) -> PatchTST:
    """A freshly initialised model, with its count checked. Raises InputError where it misses the budget."""
    torch.manual_seed(seed)
    network = PatchTST(shape, config.model, train.channels, config.recompute)
    check_within_budget(network.counts().total, budget)
    if target.binary:  # start from the base rate rather than spend the first epochs finding it
        rate = float(train.label.mean())
        torch.nn.init.constant_(network.head.bias, math.log(rate / (1 - rate)))
    return network
