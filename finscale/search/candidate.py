"""A candidate: the sampled values as training settings and a shape of the budget's size.

Symbols: D d_model, F ffn_dim.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from finscale.model.config import ModelConfig
from finscale.model.shape import TOLERANCE, Shape, count, solve
from finscale.search.space import Value
from finscale.training.config import TrainConfig
from finscale.training.schedule import Schedule

_ARCHITECTURE = ("depth_factor", "width_to_depth", "n_heads")
_WIDTH_TO_DEPTH = 32.0  # of the usual family (finscale.model.shape)
_FFN_RATIO = (0.5, 16.0)  # a narrower feed-forward part than half of D, or a wider one than 16 D, is no transformer
_LONGEST_WARMUP = 0.5


class UnbuildableError(Exception):
    """Sampled values from which no model of the budget can be made; the message says why."""


@dataclass(frozen=True)
class Candidate:
    config: TrainConfig
    shape: Shape


def make_candidate(
    values: dict[str, Value], base: TrainConfig, budget: int, channels: int, train_windows: int
) -> Candidate:
    """Apply sampled values to the settings of params.yaml. Raises UnbuildableError."""
    direct = {name: value for name, value in values.items() if name not in (*_ARCHITECTURE, "warmup_steps")}
    try:
        config = apply_settings(base, direct)
        if "warmup_steps" in values:
            steps = Schedule.of(train_windows, config).total_steps
            fraction = min(float(values["warmup_steps"]) / steps, _LONGEST_WARMUP)
            config = apply_settings(config, {"warmup_fraction": fraction})
    except ValidationError as error:
        raise UnbuildableError(error.errors()[0]["msg"]) from None
    return Candidate(config, _shape(values, config, budget, channels))


def apply_settings(base: TrainConfig, settings: dict[str, Any]) -> TrainConfig:
    """Settings with some replaced, by dotted name. Raises pydantic's ValidationError."""
    changed = base.model_dump()
    for name, value in settings.items():
        *blocks, key = name.split(".")
        inner = changed
        for block in blocks:
            inner = inner[block]
        inner[key] = value
    return TrainConfig.model_validate(changed)


def settings_of(candidate: Candidate, values: dict[str, Value]) -> dict[str, Value]:
    """What of params.yaml's block `train` to change to train the candidate, by dotted name."""
    settings = {name: value for name, value in values.items() if name not in (*_ARCHITECTURE, "warmup_steps")}
    if "warmup_steps" in values:
        settings["warmup_fraction"] = candidate.config.warmup_fraction
    return settings


@cache  # trying all shapes takes a twentieth of a second, and trials share few sizes of windows
def _usual_shape(budget: int, model: ModelConfig, channels: int) -> Shape:
    return solve(budget, model, channels)


def _shape(values: dict[str, Value], config: TrainConfig, budget: int, channels: int) -> Shape:
    usual = _usual_shape(budget, config.model.model_copy(update={"dropout": 0.0}), channels)
    if not set(_ARCHITECTURE) & set(values):
        return usual
    n_layers = max(1, round(usual.n_layers * float(values.get("depth_factor", 1.0))))
    width = float(values.get("width_to_depth", _WIDTH_TO_DEPTH)) * n_layers
    n_heads = int(values.get("n_heads", max(4, round(width) // 64)))
    multiple = max(n_heads, 4) if max(n_heads, 4) % n_heads == 0 else 2 * n_heads  # whole heads, and an even width
    d_model = max(1, round(width / multiple)) * multiple
    without = count(Shape(d_model, n_layers, n_heads, 0), config.model, channels).total
    ffn_dim = round((budget - without) / (n_layers * (2 * d_model + 1)))
    shape = Shape(d_model, n_layers, n_heads, ffn_dim)
    least, most = (ratio * d_model for ratio in _FFN_RATIO)
    if not least <= ffn_dim <= most:
        raise UnbuildableError(f"{shape} leaves no sensible feed-forward width at {budget:,} parameters")
    total = count(shape, config.model, channels).total
    if abs(total / budget - 1) > TOLERANCE:
        raise UnbuildableError(f"{shape} has {total:,} parameters, over 2 % away from {budget:,}")
    return shape
