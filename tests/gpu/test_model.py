"""The model computes on a GPU what it computes on the CPU, whatever its options."""

import pytest
import torch

from finscale.model.config import ModelConfig
from tests.gpu.conftest import compute_on
from tests.gpu.options import network, options, outputs_and_gradients, with_cpu_kernels

OPTIONS = options()
FP32 = 1e-4
BF16 = 5e-2  # 8 bits of mantissa: 1e-3 to 1e-2 for a product, more where gradients of many tokens nearly cancel


def error(ours: torch.Tensor, reference: torch.Tensor, scale: torch.Tensor) -> float:
    """Norm of the difference over that of the reference; where the reference is a sum that cancels, over `scale`."""
    return float((ours - reference).norm() / torch.maximum(reference.norm(), scale))


def largest_error(ours: dict[str, torch.Tensor], reference: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == reference.keys()
    size = torch.stack([tensor.norm() for name, tensor in reference.items() if name != "output"]).norm()
    return max(error(ours[name], tensor, 1e-2 * size) for name, tensor in reference.items())


@pytest.mark.parametrize("model", OPTIONS.values(), ids=OPTIONS)
def test_outputs_and_gradients_are_the_cpu_s(model: ModelConfig, device: torch.device) -> None:
    ours = outputs_and_gradients(network(model), device, compute_on(device).autocast())
    assert largest_error(ours, with_cpu_kernels(model)) < FP32


@pytest.mark.parametrize("model", OPTIONS.values(), ids=OPTIONS)
def test_bf16_stays_near_them(model: ModelConfig, device: torch.device) -> None:
    ours = outputs_and_gradients(network(model), device, compute_on(device, "bf16").autocast())
    assert 1e-5 < largest_error(ours, with_cpu_kernels(model)) < BF16  # and it is bf16


def test_a_wrong_gradient_would_be_seen(device: torch.device) -> None:
    model = OPTIONS["default"]
    ours = outputs_and_gradients(network(model), device, compute_on(device).autocast())
    reference = with_cpu_kernels(model)
    for name in ours:
        assert largest_error(ours | {name: ours[name] * 1.2}, reference) > FP32, name


def test_every_option_is_among_those_tested() -> None:
    told = {name.partition("=")[0] for name in OPTIONS}
    assert told == {"default"} | {name for name, field in ModelConfig.model_fields.items() if not field.is_required()}
    assert "pooling=flatten" in OPTIONS


def test_recomputing_layers_changes_no_gradient(device: torch.device) -> None:
    compute = compute_on(device)
    model = OPTIONS["default"].model_copy(update={"dropout": 0.2})
    plain, again = network(model), network(model)
    again.recompute = True
    found = []
    for made in (plain, again):
        torch.manual_seed(3)  # of the dropout, on every device
        found.append(outputs_and_gradients(made, device, compute.autocast()))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
