"""The typed arguments of the sources."""

import os
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from finscale.config import Block


class SimulatedConfig(Block):
    """A market of known laws; finscale/sources/simulated.py says what each number does."""

    market: Literal["random_walk", "planted", "teacher"] = "random_walk"
    sessions: Annotated[int, Field(ge=500)] = 8000  # the last ones before data.end
    symbols: Annotated[PositiveInt, Field(le=999)] = 1  # one: SIM; more: SIM001, SIM002, ...
    common: Annotated[float, Field(ge=0, lt=1)] = 0.2  # several symbols: the market's share in a return's variance
    law: Literal["shared", "own"] = "shared"  # several symbols: one law for all, or one each
    signal: NonNegativeFloat = 0.5
    complexity: Annotated[PositiveInt, Field(le=10)] = 1
    seed: NonNegativeInt = 0  # of the market; the experiment's seed is another

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols of the market: SIM, or SIM001 and so on."""
        return ("SIM",) if self.symbols == 1 else tuple(f"SIM{at:03d}" for at in range(1, self.symbols + 1))


class DataConfig(Block):
    """Which days are wanted; `end` is a date and never `today`, so that a run can be repeated."""

    start: Annotated[date, Field(ge=date(1990, 1, 1))]  # the exchange calendar begins here
    end: date
    directory: str
    vintage: date | None = None  # live: answers stored before this day are asked for anew
    accepted: dict[str, list[date]] = Field(default_factory=dict)  # days of a series on which what looks wrong is real
    simulated: SimulatedConfig = SimulatedConfig()

    def expanded(self) -> "DataConfig":
        """With the environment's variables in `directory` replaced by what they stand for on this machine."""
        return self.model_copy(update={"directory": os.path.expandvars(self.directory)})

    @model_validator(mode="after")
    def _ascending(self) -> "DataConfig":
        if self.start >= self.end:
            raise ValueError("start must lie before end")
        if self.vintage and self.vintage > datetime.now(UTC).date():
            raise ValueError("vintage must not lie ahead: no answer is of that day")
        return self
