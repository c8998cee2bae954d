"""Batch sizes that memory allows, and what a budget's training takes."""

from pathlib import Path

import pytest
import torch

from finscale.errors import InputError
from finscale.model.budget import GIB, activation_bytes, report, training_memory
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import solve
from finscale.training.batch_size import find_batch_size, fits_in_host_memory, remembered

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.1)


def test_the_size_is_four_fifths_of_the_largest_that_fits() -> None:
    tried: list[int] = []

    def fits(batch: int) -> bool:
        tried.append(batch)
        return batch <= 37

    assert find_batch_size(fits, limit=1000) == 25  # 80 % of 32
    assert tried == [1, 2, 4, 8, 16, 32, 64]
    assert find_batch_size(fits, limit=16) == 16  # the batch itself fits


def test_a_model_that_does_not_fit_at_all_is_named() -> None:
    with pytest.raises(InputError, match=r"not one window fits into memory; set train.recompute or a smaller budget"):
        find_batch_size(lambda batch: False, limit=32)


def test_a_found_size_is_remembered_per_key(tmp_path: Path) -> None:
    file, found = tmp_path / "batch_sizes.json", iter([12, 20])
    sizes = [remembered(file, {"device": device}, lambda: next(found)) for device in ("a", "a", "b", "a")]
    assert sizes == [12, 12, 20, 12]


def test_host_memory_is_judged_by_the_sum() -> None:
    shape = solve(100_000, MODEL, 20)
    fits = fits_in_host_memory(shape, MODEL, 20, recompute=False, precision="fp32")
    assert fits(1)
    assert not fits(10**6)  # 100 K parameters, but 1.1 TB of activations


def test_activations_are_those_that_autograd_keeps() -> None:
    """Against the bytes that a real forward pass leaves reachable, on the operations that GPUs run too."""
    shape, kept = solve(100_000, MODEL, 20), {}
    network = PatchTST(shape, MODEL, 20).double()  # float64 storage: twice the bytes, the same tensors

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(8, 60, 20, dtype=torch.float64))
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    measured = sum(tensor.untyped_storage().nbytes() for pointer, tensor in kept.items() if pointer not in own) / 2
    assert activation_bytes(shape, MODEL, 20, 8) == pytest.approx(measured, rel=0.15)


def test_two_billion_parameters_fit_one_machine_of_128_gb() -> None:
    shape = solve(2_000_000_000, MODEL, 20)
    memory = training_memory(shape, MODEL, 20, batch=32, recompute=True)
    assert memory.weights == 4 * 1_996_396_545
    assert memory.total == sum((memory.weights * 5, memory.activations))  # weights, gradients, two moments, the best
    assert memory.total < 128e9
    assert memory.activations < training_memory(shape, MODEL, 20, batch=32, recompute=False).activations / 10
    assert f"{memory.total / GIB:.3g} GiB at batch 32" in report(2_000_000_000, 20, MODEL, 32)
    bf16 = training_memory(shape, MODEL, 20, batch=32, recompute=True, precision="bf16")
    assert bf16.total == memory.total + memory.weights // 2 < 128e9  # autocast's copies come on top
