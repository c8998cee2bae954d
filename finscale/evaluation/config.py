"""The typed arguments of the stages that fit baselines, evaluate and trade: one block each."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from finscale.config import Block

Method = Literal["none", "temperature", "shrinkage", "platt", "isotonic"]  # of calibration
Rule = Literal["long_flat", "long_short"]  # of trading
Fraction = Annotated[float, Field(gt=0, lt=1)]


class BaselinesConfig(Block):
    catboost_iterations: PositiveInt
    seed: int


class CalibrateConfig(Block):
    method: Method


class EvaluateConfig(Block):
    resamples: Annotated[int, Field(ge=100)]
    confidence: Fraction
    block_length: PositiveInt | Literal["auto"]
    conformal_level: Fraction
    conformal_step: PositiveFloat


class CompareConfig(Block):
    resamples: Annotated[int, Field(ge=100)]
    mcs_size: Fraction


class TradeConfig(Block):
    rule: Rule
    cost_bps: NonNegativeFloat
