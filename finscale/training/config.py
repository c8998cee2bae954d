"""The typed arguments of training (SPEC 8)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from finscale.config import Block
from finscale.model.config import ModelConfig

Fraction = Annotated[float, Field(ge=0, lt=1)]


class TrainConfig(Block):
    model: ModelConfig
    epochs: Annotated[int, Field(ge=1, le=1000)]
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
