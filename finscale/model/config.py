"""The typed arguments of the model."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from finscale.config import Block


class ModelConfig(Block):
    """What the user sets; width, depth and heads follow from the budget (model.budget)."""

    context_length: PositiveInt
    patch_length: PositiveInt
    patch_stride: PositiveInt
    dropout: Annotated[float, Field(ge=0, lt=1)]
    pooling: Literal["mean", "flatten"] = "mean"
    norm: Literal["layer", "batch"] = "layer"
    norm_position: Literal["pre", "post"] = "pre"
    positions: Literal["learned", "sincos"] = "learned"
    parametrization: Literal["sp", "mup"] = "sp"

    @model_validator(mode="after")
    def _patches_fit(self) -> "ModelConfig":
        if self.patch_length >= self.context_length:
            raise ValueError("patch_length must be smaller than context_length")
        if self.patch_stride > self.patch_length:
            raise ValueError("patch_stride must not exceed patch_length, or days would be skipped")
        return self

    @property
    def num_patches(self) -> int:
        return (self.context_length - self.patch_length) // self.patch_stride + 1

    @property
    def pooled_patches(self) -> int:
        """Vectors per channel that reach the head."""
        return self.num_patches if self.pooling == "flatten" else 1
