"""Every option of the model, read off ModelConfig: one that comes later is tested without a word here."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import torch
from pydantic import ValidationError

from finscale.model import patchtst
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import solve
from tests.unit.test_training import MODEL

CHANNELS = 3
BUDGET = 20_000
_TRIED = (1, 2, 0.5)  # of an option that is a number


def values(annotation: Any) -> list[Any]:
    """What an option may be set to, as far as its type tells; of numbers a few."""
    origin = get_origin(annotation)
    if origin is Literal:
        return list(get_args(annotation))
    if origin is Annotated:
        return values(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [value for part in get_args(annotation) for value in values(part)]
    if annotation is bool:
        return [False, True]
    return list(_TRIED) if annotation in (int, float) else []


def options() -> dict[str, ModelConfig]:
    """{'pooling=flatten': the test model so changed}: each option alone, every value that is not the default's."""
    plain = MODEL.model_copy(update={"dropout": 0.0})
    found = {"default": plain}
    for name, field in ModelConfig.model_fields.items():
        for value in values(field.annotation) if not field.is_required() else []:
            try:
                changed = ModelConfig.model_validate(plain.model_dump() | {name: value})
            except ValidationError:
                continue
            if changed != plain:
                found[f"{name}={value}"] = changed
    return found


def network(model: ModelConfig, seed: int = 0) -> PatchTST:
    torch.manual_seed(seed)
    return PatchTST(solve(BUDGET, model, CHANNELS), model, CHANNELS)


def example(windows: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """x (B, L, C), random walks, and weights (B,) of the outputs in the sum whose gradient is taken."""
    generator = torch.Generator().manual_seed(1)
    x_BLC = torch.randn(windows, MODEL.context_length, CHANNELS, generator=generator).cumsum(dim=1)
    return x_BLC, torch.randn(windows, generator=generator)


def outputs_and_gradients(made: PatchTST, device: torch.device, autocast: Any) -> dict[str, torch.Tensor]:
    """All on the CPU, by name."""
    (x_BLC, weight_B), made = example(), made.to(device)
    with autocast:
        output_B = made(x_BLC.to(device))
    (output_B.float() * weight_B.to(device)).sum().backward()
    told = {"output": output_B.detach().float().cpu()}
    return told | {name: parameter.grad.cpu() for name, parameter in made.named_parameters()}


def with_cpu_kernels(model: ModelConfig) -> dict[str, torch.Tensor]:
    """The reference: fp32 on the CPU, with the kernels that runs there use."""
    own, patchtst._own_kernels = patchtst._own_kernels, _CPU_KERNELS
    try:
        return outputs_and_gradients(network(model), torch.device("cpu"), torch.autocast("cpu", enabled=False))
    finally:
        patchtst._own_kernels = own


_CPU_KERNELS = patchtst._own_kernels
