"""What only the machine can tell: how much fits, how hot it is, and one process's share of a sharded model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from finscale.data.windows import Windows
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import solve
from finscale.training import sharding
from finscale.training.batch_size import find_batch_size, fits_on_cuda
from finscale.training.target import Target
from finscale.training.thermal import read_nvidia, thermal_reader
from finscale.training.use import UseMeter
from tests.bench.race import Setting
from tests.gpu.conftest import compute_on
from tests.gpu.test_training import Trainer, finish, trainer
from tests.unit.test_training import CONFIG, MODEL

LIMIT = 4 * 2**30  # bytes of the device that the test takes: filling all of it takes longer and tells no more


@pytest.fixture
def small_device(cuda: torch.device) -> Iterator[torch.device]:
    whole = torch.cuda.get_device_properties(cuda).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(LIMIT / whole)
    yield cuda
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def test_the_batch_that_was_found_trains_and_four_times_as_much_does_not(small_device: torch.device) -> None:
    model = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.1)
    setting = Setting("20M", 20, "bf16", "cuda", 1)
    compute = compute_on(small_device, "bf16")
    rows = setting.rows()
    rows.loc[rows.index[-64:], "split"] = "validation"
    train, validation = (Windows(rows, split, 60, small_device) for split in ("train", "validation"))
    network = PatchTST(solve(20_000_000, model, 20), model, 20).to(small_device)
    fits = fits_on_cuda(network, lambda size: train.gather(torch.arange(size) % len(train))[0], compute)
    found = find_batch_size(fits, limit=4096)
    assert 8 <= found < 4096
    assert not fits(4 * found)
    config = CONFIG.model_copy(
        update={
            "model": model,
            "batch_size": found,
            "precision": "bf16",
            "epochs": 1,
            "graphs": False,
            "learning_rate": 1e-5,
        }
    )
    made = Trainer(network, train, validation, Target.of(train, binary=True), config, compute, seed=0)
    assert made.fit(lambda epoch: None).steps == -(-len(train) // found)


def test_the_gpu_s_temperature_is_read(cuda: torch.device) -> None:
    pytest.importorskip("pynvml", reason="needs NVML: pip install nvidia-ml-py")
    (degrees,) = read_nvidia(0)
    assert 10 < degrees < 110
    read = thermal_reader("auto", cuda)
    assert read is not None
    assert 10 < (read() or 0) < 110


def test_what_a_run_uses_of_the_gpu_is_measured(cuda: torch.device) -> None:
    meter = UseMeter(cuda)
    finish(trainer(cuda))
    used = meter.read()
    assert 0 < used["gpu_memory_gib"] < 1
    assert 0 <= used.get("gpu", 0) <= 100


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")  # of a view that nobody changes
def test_a_model_sharded_over_one_process_trains_as_it_does_unsharded(device: torch.device, tmp_path: Path) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    exact = {"model": MODEL.model_copy(update={"dropout": 0.0}), "graphs": False}
    plain = finish(trainer(device, **exact))
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store, rank=0, world_size=1)
    try:
        made = trainer(device, **exact)
        mesh = init_device_mesh(device.type, (1,))
        for layer in made.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(made.model, mesh=mesh)
        sharded = trainer_of(made)
        losses = finish(sharded).losses
        whole = sharding.gathered(sharded.model.state_dict())
    finally:
        dist.destroy_process_group()
    assert losses == pytest.approx(plain.losses, abs=1e-5)
    assert all(not hasattr(tensor, "full_tensor") for tensor in whole.values())


def trainer_of(made: Trainer) -> Trainer:
    """A trainer anew, for the parameters that sharding has put in place of the model's."""
    return Trainer(made.model, made.train, made.validation, made.target, made.config, made.compute, made.seed)
