"""train: development rows -> models/model.{safetensors,json}

Reads  data/processed/development.parquet  train and validation rows; the test split is out of reach
Writes models/model.safetensors  the best epoch's weights
       models/model.json         shape, counts, features, and what the run did
       dvclive/                  loss curves and learning rate per epoch
       metrics/runtime.json      seconds, speed and machine: the one output that differs between repeats
Why    one seeded run whose size is counted, never labelled.
"""

import math
import platform
import time
from dataclasses import asdict
from pathlib import Path

import torch
from dvclive.live import Live
from tqdm import tqdm

from finscale.cli import run
from finscale.config import Block, Budget, Task, is_binary, load_params
from finscale.dataset import feature_names, read_development
from finscale.model.budget import Shape, check_within_budget, flops_per_window, solve
from finscale.model.patchtst import PatchTST
from finscale.storage import write_json
from finscale.training import checkpoint
from finscale.training.config import TrainConfig
from finscale.training.device import Compute, choose_compute
from finscale.training.loop import Epoch, FitResult, Target, fit
from finscale.windows import Windows

DEVELOPMENT = Path("data/processed/development.parquet")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
LOG = Path("dvclive")
RUNTIME = Path("metrics/runtime.json")


class Params(Block):
    task: Task
    budget: Budget
    seed: int
    train: TrainConfig


def build(params: Params, windows: Windows, target: Target) -> tuple[PatchTST, Shape]:
    """A freshly initialised model of the asked size, with its count checked."""
    torch.manual_seed(params.seed)
    shape = solve(params.budget, params.train.model, windows.channels)
    network = PatchTST(shape, params.train.model, windows.channels)
    check_within_budget(network.counts().total, params.budget)
    if target.binary:  # start from the base rate rather than spend the first epochs finding it
        rate = float(windows.label.mean())
        torch.nn.init.constant_(network.head.bias, math.log(rate / (1 - rate)))
    return network, shape


def train(params: Params, network: PatchTST, data: dict[str, Windows], target: Target, compute: Compute) -> FitResult:
    """Fit, showing progress and logging every epoch."""
    with (
        Live(str(LOG), dvcyaml=None, save_dvc_exp=False, report=None) as live,
        tqdm(total=params.train.epochs, desc="train", unit="epoch", mininterval=2) as bar,
    ):

        def log(epoch: Epoch) -> None:
            live.step = epoch.epoch
            live.log_metric("train/loss", epoch.train_loss)
            live.log_metric("validation/loss", epoch.validation_loss)
            live.log_metric("learning_rate", epoch.learning_rate)
            live.next_step()
            bar.update()
            bar.set_postfix(train=f"{epoch.train_loss:.5g}", validation=f"{epoch.validation_loss:.5g}")

        return fit(network, data["train"], data["validation"], target, params.train, compute, params.seed, log)


def describe(params: Params, network: PatchTST, shape: Shape, data: dict[str, Windows], result: FitResult) -> dict:
    """What the run was, counted and measured; goes into the checkpoint and from there to the ledger."""
    counts, channels = network.counts(), data["train"].channels
    tokens = channels * params.train.model.num_patches
    flops = flops_per_window(shape, params.train.model, channels)
    return {
        "params_total": counts.total,
        **{f"params_{group}": value for group, value in asdict(counts).items()},
        "channels": channels,
        "train_windows": len(data["train"]),
        "flops_per_window": flops,
        "train_flops": 3 * flops * result.windows_seen,
        "tokens_seen": tokens * result.windows_seen,
        **asdict(result),
    }


def main() -> None:
    params = load_params(Params)
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads)
    rows = read_development(DEVELOPMENT)
    length = params.train.model.context_length
    data = {split: Windows(rows, split, length, compute.device) for split in ("train", "validation")}
    target = Target.of(data["train"], is_binary(params.task))
    network, shape = build(params, data["train"], target)
    network.to(compute.device)
    print(f"train: {network.counts().total:,} parameters {asdict(shape)}, {compute.precision} on {compute.device}")
    started = time.perf_counter()
    result = train(params, network, data, target, compute)
    seconds = time.perf_counter() - started
    about = describe(params, network, shape, data, result)
    trained = checkpoint.Checkpoint(network, shape, params.train.model, feature_names(rows), target, compute, about)
    checkpoint.save(trained, WEIGHTS, MODEL)
    runtime = {"train_seconds": round(seconds, 3), "windows_per_second": round(result.windows_seen / seconds, 1)}
    write_json(RUNTIME, runtime | {"processor": platform.machine(), "system": platform.system()})


if __name__ == "__main__":
    run(main)
