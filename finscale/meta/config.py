"""The typed arguments of the meta-module."""

from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from finscale.config import Block, Horizon, Name, Source, Task, Timescale
from finscale.evaluation.config import EvaluateConfig


class MetaConfig(Block):
    """Which inputs, and how the meta-model walks forward; without runs it is off."""

    runs: tuple[Name, ...]  # results/base_runs/<run>.parquet
    features: tuple[str, ...]  # of this experiment's tier
    min_train_days: Annotated[int, Field(ge=50)]  # out-of-sample days before the first test
    step_days: PositiveInt  # days between two fits
    embargo_days: NonNegativeInt  # left out before each test, on top of the purge
    iterations: PositiveInt  # trees; no early stopping, which would need labels of its own
    depth: Annotated[int, Field(ge=1, le=10)]
    learning_rate: PositiveFloat
    leak_auc: Annotated[float, Field(gt=0.5, le=1)]  # an input that ranks labels better than this is refused


class MetaParams(Block):
    """All that decides what a meta-model is for and what it is worth."""

    source: Source
    timescale: Timescale
    task: Task
    horizon: Horizon
    seed: int
    evaluate: EvaluateConfig
    meta: MetaConfig
    # As they stand there, to be compared with what the runs had: `configure` checks them.
    data: dict[str, Any]
    label: dict[str, Any]
