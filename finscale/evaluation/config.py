"""The typed arguments of evaluation."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from finscale.config import Block


class EvaluateConfig(Block):
    resamples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    block_length: PositiveInt | Literal["auto"]
    catboost_iterations: PositiveInt
