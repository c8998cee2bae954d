"""The typed arguments of the model."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from finscale.config import Block


class ModelConfig(Block):
    """What the user sets; width, depth and heads follow from the budget (model.budget).

    What came after the first checkpoints has a default: an older model.json is rebuilt as the model that it was.

    input_norm         instance: each window's channels to mean 0 and variance 1 (Kim et al. 2022, RevIN), which takes
                       their level out; none: as the data set has them, z-scored on the training rows (transformers'
                       scaling: null); instance_stats: instance, with each channel's mean and log scale as one more
                       token of it (as Liu et al. 2022, non-stationary transformers, give both back to the model)
    clip               patches (and those means and scales) are kept within so many standard deviations: the window's
                       under instance norm, else the training rows'; null: as they are
    pooling            what the head sees of a channel's tokens: their mean, all of them (flatten), the newest patch
                       (last), or their mean weighted by a softmax of their product with a learnt query (attention;
                       Ilse et al. 2018, attention-based multiple instance learning, and Lee et al. 2019)
    head_hidden        hidden units of the head, as a multiple of d_model; 0: the head is linear
    channel_attention  shared: every layer attends over patches, then over channels with the same weights
                       (transformers' PatchTST); separate: with weights of its own, as the attention over variates of
                       Liu et al. 2024 (iTransformer) and Zhang & Yan 2023 (Crossformer)
    channel_every      1: in every layer; k: in every k-th, counted back from the last one
    """

    context_length: PositiveInt
    patch_length: PositiveInt
    patch_stride: PositiveInt
    dropout: Annotated[float, Field(ge=0, lt=1)]
    input_norm: Literal["instance", "none", "instance_stats"] = "instance"
    clip: PositiveFloat | None = None
    pooling: Literal["mean", "flatten", "last", "attention"] = "mean"
    head_hidden: NonNegativeFloat = 0
    channel_attention: Literal["none", "shared", "separate"] = "none"
    channel_every: PositiveInt = 1
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
    def num_tokens(self) -> int:
        """Tokens of a channel: its patches, and before them its statistics where they are given."""
        return self.num_patches + (self.input_norm == "instance_stats")

    @property
    def pooled_tokens(self) -> int:
        """Vectors per channel that reach the head."""
        return self.num_tokens if self.pooling == "flatten" else 1

    def attends_over_channels(self, layer: int, n_layers: int) -> bool:
        """Whether a layer, counted from 0, mixes channels."""
        return self.channel_attention != "none" and (n_layers - 1 - layer) % self.channel_every == 0
