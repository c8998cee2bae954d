"""The typed arguments of the sources."""

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from finscale.config import Block


class DataConfig(Block):
    """Which days are wanted; `end` is a date and never `today`, so that a run can be repeated."""

    start: Annotated[date, Field(ge=date(1990, 1, 1))]  # the exchange calendar begins here
    end: date
    directory: str

    @model_validator(mode="after")
    def _ascending(self) -> "DataConfig":
        if self.start >= self.end:
            raise ValueError("start must lie before end")
        return self
