"""What a finished run was, counted and measured."""

from dataclasses import asdict
from typing import Any

from finscale.data.windows import Windows
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, flops_per_window
from finscale.training.progress import FitResult


def describe_run(
    network: PatchTST, shape: Shape, model: ModelConfig, train: Windows, result: FitResult
) -> dict[str, Any]:
    """Counts, costs and losses; they go into the checkpoint and from there to the ledger."""
    counts = network.counts()
    flops = flops_per_window(shape, model, train.channels)
    return {
        "params_total": counts.total,
        **{f"params_{group}": value for group, value in asdict(counts).items()},
        "channels": train.channels,
        "train_windows": len(train),
        "flops_per_window": flops,
        "train_flops": 3 * flops * result.windows_seen,
        "tokens_seen": train.channels * model.num_tokens * result.windows_seen,
        **asdict(result),
    }
