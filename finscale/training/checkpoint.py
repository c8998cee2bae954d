"""Checkpoints: weights as safetensors, everything else as JSON. Nothing is ever unpickled.

A model is rebuilt from its own checkpoint's description, never from today's parameters.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.storage import md5_of, read_json, read_tensors, write_atomically, write_json
from finscale.training import sharding
from finscale.training.device import Compute, choose_compute, is_available, machine_name
from finscale.training.target import Target


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and all that is needed to use it."""

    network: PatchTST
    shape: Shape
    model: ModelConfig
    features: list[str]
    target: Target
    compute: Compute
    run: dict[str, Any]  # what training recorded: counts, epochs, windows seen


def save(checkpoint: Checkpoint, weights: Path, description: Path) -> None:
    """Write both files; each appears whole or not at all."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in checkpoint.network.state_dict().items()}
    write_atomically(weights, lambda temporary: save_file(tensors, temporary))
    write_json(
        description,
        {
            "shape": asdict(checkpoint.shape),
            "model": checkpoint.model.model_dump(),
            "features": checkpoint.features,
            "target": asdict(checkpoint.target),
            "compute": {
                "device": checkpoint.compute.device.type,
                "precision": checkpoint.compute.precision,
                "threads": checkpoint.compute.threads,
                "torch": torch.__version__,
                "machine": machine_name(checkpoint.compute.device),
                # They round otherwise than one: said where there are several.
                **({"processes": sharding.world_size()} if sharding.world_size() > 1 else {}),
            },
            "weights_md5": md5_of(weights),
            "run": checkpoint.run,
        },
    )


def load(weights: Path, description: Path, features: list[str]) -> Checkpoint:
    """Rebuild the model, on the device and in the precision that it was trained with.

    A device that this machine lacks is replaced by the best one it has. Raises InputError where the
    data's features are not those the model was trained on.
    """
    told = read_json(description)
    if told["features"] != features:
        raise InputError(f"{description}: trained on other features than the data set holds; run `dvc repro train`")
    used = told["compute"]
    compute = choose_compute(
        used["device"] if is_available(used["device"]) else "auto", used["precision"], used["threads"]
    )
    shape, model = Shape(**told["shape"]), ModelConfig(**told["model"])
    network = PatchTST(shape, model, len(features))
    tensors = read_tensors(weights)
    if not tensors:
        raise InputError(
            f"{weights} holds no weights: they were left on the machine that trained them (docs/elsewhere.md)"
        )
    network.load_state_dict(tensors)
    network.to(compute.device)
    return Checkpoint(network, shape, model, features, Target(**told["target"]), compute, told["run"])
