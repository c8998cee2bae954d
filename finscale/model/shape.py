"""From a parameter budget to a shape, by an exact count.

One family of shapes, so that a curve over budgets varies size only:

    width / depth   d_model = 32 n_layers      (assumed, not studied; Kaplan et al. 2020, section 3.1
                                                find loss flat over a wide range of this ratio)
    heads           4 up to d_model 256, then one per 64 channels of width
    feed-forward    4 d_model, moved as little as needed to meet the budget

Symbols: D d_model, F ffn_dim, P patch_length, N tokens of a channel, C channels.
"""

import math
from dataclasses import dataclass

from finscale.config import format_budget
from finscale.errors import InputError
from finscale.model.config import ModelConfig

TOLERANCE = 0.02  # SPEC 7: the model is refused beyond it
_AIM = 0.005
_WIDTH_TO_DEPTH = 32
_FFN_RATIO = 4
_FFN_STEPS = (64, 32, 16, 8, 4, 2, 1)  # coarse first: round sizes are faster


@dataclass(frozen=True)
class Shape:
    d_model: int
    n_layers: int
    n_heads: int
    ffn_dim: int


@dataclass(frozen=True)
class Counts:
    """Trainable parameters per group."""

    embedding: int
    body: int
    head: int

    @property
    def total(self) -> int:
        return self.embedding + self.body + self.head


def count(shape: Shape, model: ModelConfig, channels: int) -> Counts:
    """Closed-form parameter counts of finscale.model.patchtst.PatchTST."""
    d, f = shape.d_model, shape.ffn_dim
    attention = 4 * (d * d + d)  # query, key, value, output, with biases
    norm = 2 * d
    feed_forward = d * f + f + f * d + d
    mixing = norm + (attention if model.channel_attention == "separate" else 0)
    positions = model.num_patches * d if model.positions == "learned" else 0
    statistics = 2 * d + d if model.input_norm == "instance_stats" else 0
    pooled, hidden = channels * model.pooled_tokens * d, hidden_units(shape, model)
    head = pooled * hidden + hidden + hidden + 1 if hidden else pooled + 1
    return Counts(
        embedding=model.patch_length * d + d + positions + statistics,
        body=shape.n_layers * (attention + feed_forward + 2 * norm) + _mixing_layers(shape, model) * mixing,
        head=head + (d if model.pooling == "attention" else 0),
    )


def hidden_units(shape: Shape, model: ModelConfig) -> int:
    """Width of the head's hidden layer; 0: it has none."""
    return max(1, round(model.head_hidden * shape.d_model)) if model.head_hidden else 0


def _mixing_layers(shape: Shape, model: ModelConfig) -> int:
    return 0 if model.channel_attention == "none" else math.ceil(shape.n_layers / model.channel_every)


def flops_per_window(shape: Shape, model: ModelConfig, channels: int) -> int:
    """Floating-point operations of one window's forward pass, a multiply-add counted as two.

    Matrix products only, as in Kaplan et al. (2020), appendix B; a training step costs three times
    as much (forward, and backward at twice the forward).
    """
    d, tokens = shape.d_model, channels * model.num_tokens
    embedding = channels * (model.num_patches * 2 * model.patch_length * d)
    embedding += channels * 2 * 2 * d if model.input_norm == "instance_stats" else 0
    projections, feed_forward = 2 * 4 * d * d, 2 * 2 * d * shape.ffn_dim
    layers = shape.n_layers * (projections + 2 * 2 * model.num_tokens * d + feed_forward)
    layers += _mixing_layers(shape, model) * (projections + 2 * 2 * channels * d)
    pooling = 2 * 2 * d if model.pooling == "attention" else 0
    pooled, hidden = channels * model.pooled_tokens * d, hidden_units(shape, model)
    head = 2 * (pooled * hidden + hidden if hidden else pooled)
    return embedding + tokens * (layers + pooling) + head


def solve(budget: int, model: ModelConfig, channels: int) -> Shape:
    """The shape nearest to the family whose count lies within 0.5 % of the budget.

    Raises InputError where no shape comes within 2 % (too many channels for a small budget).
    """
    best: tuple[float, Shape] | None = None
    for n_layers in range(1, 129):
        for d_model in (*range(4, 256, 4), *range(256, 8192, 64)):
            shape = _fit_ffn(budget, n_layers, d_model, model, channels)
            if shape is None:
                continue
            distance = math.hypot(
                math.log(d_model / (_WIDTH_TO_DEPTH * n_layers)),
                math.log(shape.ffn_dim / (_FFN_RATIO * d_model)),
            )
            if best is None or distance < best[0]:
                best = distance, shape
    if best is None:
        raise InputError(
            f"params.yaml: budget = {format_budget(budget)} has no shape for {channels} channels; "
            "raise the budget or choose a smaller feature tier"
        )
    return best[1]


def _fit_ffn(budget: int, n_layers: int, d_model: int, model: ModelConfig, channels: int) -> Shape | None:
    n_heads = max(4, d_model // 64)
    without = count(Shape(d_model, n_layers, n_heads, 0), model, channels).total
    exact = (budget - without) / (n_layers * (2 * d_model + 1))
    if not d_model <= exact <= 16 * d_model:
        return None
    for step in _FFN_STEPS:
        shape = Shape(d_model, n_layers, n_heads, max(step, round(exact / step) * step))
        if abs(count(shape, model, channels).total / budget - 1) <= _AIM:
            return shape
    return None


def check_within_budget(total: int, budget: int) -> None:
    """Raises InputError where a model is not the size its label says (SPEC 12.1)."""
    if abs(total / budget - 1) > TOLERANCE:
        raise InputError(f"the model has {total:,} parameters, over 2 % away from its budget of {budget:,}")
