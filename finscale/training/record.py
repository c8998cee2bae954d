"""What a finished run was, counted and measured."""

from dataclasses import asdict
from typing import Any

from finscale.data.windows import Windows
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, flops_per_window
from finscale.training.pretrain import Pretrained
from finscale.training.progress import FitResult


def describe_run(
    network: PatchTST, shape: Shape, model: ModelConfig, train: Windows, result: FitResult, before: Pretrained | None
) -> dict[str, Any]:
    """Counts, costs and losses; they go into the checkpoint and from there to the ledger.

    train_flops are of pretraining too, at the cost of a window of the model itself; windows and tokens seen are not.
    """
    counts = network.counts()
    pretrain_windows = before.result.windows_seen if before else 0
    flops = flops_per_window(shape, model, train.channels)
    return {
        "params_total": counts.total,
        **{f"params_{group}": value for group, value in asdict(counts).items()},
        "channels": train.channels,
        "train_windows": len(train),
        "flops_per_window": flops,
        "train_flops": 3 * flops * (result.windows_seen + pretrain_windows),
        "pretrain_windows": pretrain_windows,
        "tokens_seen": train.channels * model.num_tokens * result.windows_seen,
        **asdict(result),
        **(before.told() if before else {}),
    }
