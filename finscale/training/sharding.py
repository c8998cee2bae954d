"""One run over several processes under torchrun: FSDP2 shards weights, gradients and moments.

Every function also serves the usual case of a single process, where nothing is sharded. Started as
`torchrun --nproc-per-node 2 -m stages.train`, each process computes its share of every batch; gradients are
averaged, so losses are those of one process (to rounding). Each process draws its own dropout, and only the
first one's generator is saved: a resumed run is exact to the bit in a single process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

# torch.distributed.tensor and fsdp take half a second to import: they are, where something is sharded.


@contextmanager
def processes(environment: dict[str, str]) -> Iterator[None]:
    """Join torchrun's processes (nccl on CUDA, else gloo); nothing to do in a single process."""
    if "RANK" not in environment:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(environment["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process writes: the first, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def shard(model: nn.Module, layers: nn.ModuleList) -> None:
    """Split every parameter over the processes, a layer at a time; no change in a single process."""
    if world_size() == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (world_size(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def share(index_B: Tensor, batch: int) -> tuple[Tensor, float]:
    """This process's part of some windows, and its weight in the mean over `batch` windows.

    A process that gets none computes one window with weight zero: all must take part in every pass.
    """
    mine = index_B.tensor_split(world_size())[dist.get_rank()] if world_size() > 1 else index_B
    return (mine, len(mine) / batch) if len(mine) else (index_B[:1], 0.0)


def summed(values: Tensor) -> Tensor:
    """The sum over all processes."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def smallest(value: int) -> int:
    """The least of all processes' values: what memory takes differs, but all must make the same passes."""
    if world_size() == 1:
        return value
    values = torch.tensor(value, device="cuda" if torch.cuda.is_available() else "cpu")
    dist.all_reduce(values, dist.ReduceOp.MIN)
    return int(values)


def wait() -> None:
    """Until every process is here: what the first one has written is then there for all."""
    if world_size() > 1:
        dist.barrier()


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process: all must leave the loop after the same step."""
    return bool(summed(torch.tensor(float(flag)))) if world_size() > 1 else flag


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together, on every process; any other as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def gathered(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: whole(tensor) for name, tensor in tensors.items()}


def scattered(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Whole tensors as `model` holds them: on its device, sharded where it is sharded."""
    return {name: _like(own, weights[name]) for name, own in model.state_dict().items()}


def _like(own: Tensor, tensor: Tensor) -> Tensor:
    tensor = tensor.to(own.device)
    if not hasattr(own, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    sharded = cast(DTensor, own)
    return distribute_tensor(tensor, sharded.device_mesh, sharded.placements)


def training_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and optimizer moments, whole: `model.<tensor>` and `optimizer.<parameter>/<moment>`."""
    tensors = {f"model.{name}": whole(tensor) for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}/{moment}"] = whole(value)
    return tensors


def load_training_state(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of training_state; settings such as the weight decay stay the optimizer's own."""
    weights = {name: tensors[f"model.{name}"] for name in model.state_dict()}
    model.load_state_dict(scattered(weights, model))
    for name, parameter in model.named_parameters():
        head = f"optimizer.{name}/"
        moments = {key.removeprefix(head): value for key, value in tensors.items() if key.startswith(head)}
        optimizer.state[parameter] = {
            moment: _like(parameter, value) if value.shape == parameter.shape else value.to(parameter.device)
            for moment, value in moments.items()
        }
