"""One run over several processes under torchrun: FSDP2 shards weights, gradients and moments.

Every function also serves the usual case of a single process, where nothing is sharded. With FINSCALE_PROCESSES=2, or
started as `torchrun --nproc-per-node 2 -m stages.train`, each process computes its share of every batch; gradients are
averaged, so losses are those of one process (to rounding). Each process draws its own dropout, and only the
first one's generator is saved: a resumed run is exact to the bit in a single process. A state saved by one number of
processes is resumed by any other.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

# torch.distributed.tensor and fsdp take half a second to import: they are, where something is sharded.


@contextmanager
def processes(environment: dict[str, str]) -> Iterator[None]:
    """Join torchrun's processes (nccl between GPUs, gloo between processors); nothing to do in a single process."""
    if "RANK" not in environment:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(environment["LOCAL_RANK"]))
    # Both: with train.device = cpu a machine with GPUs computes on its processor all the same.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
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

    mesh = init_device_mesh(next(model.parameters()).device.type, (world_size(),))
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


def as_the_first(value: int) -> int:
    """The first process's value."""
    if world_size() == 1:
        return value
    values = torch.tensor(value, device="cuda" if torch.cuda.is_available() else "cpu")
    dist.broadcast(values, 0)
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


def gathered(tensors: dict[str, Tensor], everywhere: bool = False) -> dict[str, Tensor]:
    """The tensors put together in the first process's host memory, one at a time; no other process keeps any.

    everywhere: all keep them, where each builds the next whole model from them before it is divided.
    """
    if world_size() == 1:
        return {name: whole(tensor) for name, tensor in tensors.items()}
    kept = {}
    for name, tensor in tensors.items():
        one = whole(tensor)  # all must take part
        if everywhere or is_main():
            kept[name] = one.cpu()
    return kept


def save_tensors(tensors: dict[str, Tensor], folder: Path, name: str) -> None:
    """Write tensors to a folder: one file from a single process, else each process its own part, none put together.

    What several processes write are safetensors too, and say which part they hold (torch.distributed.checkpoint's
    Hugging Face format): its own format has pickles in it.
    """
    if world_size() == 1:
        save_file({key: whole(tensor).detach().cpu().contiguous() for key, tensor in tensors.items()}, folder / name)
        return
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    save(tensors, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


def read_tensors(folder: Path, like: dict[str, Tensor]) -> None:
    """Fill `like`, sharded or not, from what any number of processes saved there; each reads what it holds."""
    files = list(folder.glob("*.safetensors"))
    if world_size() == 1 and len(files) == 1:
        with safe_open(files[0], framework="pt") as file:
            for name, tensor in like.items():
                tensor.copy_(file.get_tensor(name))
        return
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a single process reads alone
        load(like, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=world_size() == 1)


def names_in(folder: Path) -> set[str]:
    """The names of the tensors that any number of processes saved there."""
    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names.update(file.keys())
    return names


def shape_of(folder: Path, name: str) -> torch.Size:
    """The shape of a tensor that was saved whole. Raises KeyError where there is none of the name."""
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():  # noqa: SIM118 # it is no mapping
                return torch.Size(file.get_slice(name).get_shape())
    raise KeyError(name)


def training_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and optimizer moments, as this process holds them: `model.<tensor>`, `optimizer.<parameter>/<moment>`."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}/{moment}"] = value
    return tensors


def prepare_moments(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Room for AdamW's moments that were saved there; a parameter that has had no gradient has none."""
    saved = names_in(folder)
    for name, parameter in model.named_parameters():
        if f"optimizer.{name}/step" not in saved:
            continue
        step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        moments = {moment: torch.zeros_like(parameter) for moment in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": step, **moments}
