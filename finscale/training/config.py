"""The typed arguments of training (SPEC 8)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from finscale.config import Block, Budget, Task
from finscale.model.config import ModelConfig

Fraction = Annotated[float, Field(ge=0, lt=1)]


class CheckpointConfig(Block):
    """When a run is saved so that it can go on; also on improvement and when it is interrupted."""

    every_epochs: PositiveInt = 5
    every_steps: PositiveInt | None = None
    keep: PositiveInt = 3


class ThermalConfig(Block):
    """Degrees Celsius above which training slows down, and stops."""

    sensor: str = "auto"
    warning: PositiveFloat = 85
    critical: PositiveFloat = 95
    check_batches: PositiveInt = 100
    pause_seconds: NonNegativeFloat = 300

    @model_validator(mode="after")
    def _ordered(self) -> "ThermalConfig":
        if self.warning >= self.critical:
            raise ValueError("warning must be below critical")
        return self


class TrackingConfig(Block):
    """Mirrors of the DVCLive log."""

    mlflow: bool = False
    wandb: bool = False


class PretrainConfig(Block):
    """Masked patches before training on labels; epochs counts passes over the same training windows."""

    epochs: Annotated[int | float, Field(ge=0, le=1000)] = 0
    mask_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.4
    learning_rate: PositiveFloat = 1e-4


class TrainConfig(Block):
    """epochs counts passes over the training windows; what else is counted in epochs, as patience, counts validations:
    after each pass, or every `validate_every` windows (finscale.training.schedule)."""

    from_tune: bool = False
    model: ModelConfig
    epochs: Annotated[int | float, Field(gt=0, le=1000)]
    max_windows: PositiveInt | None = None
    validate_every: PositiveInt | None = None
    validation_windows: PositiveInt | None = None
    patience: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    final_learning_rate: NonNegativeFloat
    weight_decay: NonNegativeFloat
    betas: tuple[Fraction, Fraction]
    warmup_fraction: Fraction
    clip_norm: PositiveFloat
    precision: Literal["auto", "fp32", "bf16"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: PositiveInt
    micro_batch: PositiveInt | Literal["auto"] | None = None
    recompute: bool = False
    compile: bool = False
    graphs: bool = True
    pretrain: PretrainConfig = PretrainConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    thermal: ThermalConfig = ThermalConfig()
    tracking: TrackingConfig = TrackingConfig()


class RunSettings(Block):
    """All of params.yaml that decides what a run of training makes of its rows."""

    task: Task
    budget: Budget
    seed: int
    train: TrainConfig
