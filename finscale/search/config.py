"""The typed arguments of the search."""

from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from finscale.config import Block, Budget, Name, StudyAxes, without_password
from finscale.training.config import TrainConfig


class PruningConfig(Block):
    """A trial ends early where it is worse than the median of the others at the same epoch."""

    after_epochs: NonNegativeInt = 10
    finished_trials: PositiveInt = 10


class TuneConfig(Block):
    trials: NonNegativeInt = 0
    space: Name = "default"
    seed: NonNegativeInt = 0
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (0,)
    workers: PositiveInt = 1
    time_limit_hours: PositiveFloat = 4.0
    pruning: PruningConfig = PruningConfig()
    storage: Annotated[str | None, AfterValidator(without_password)] = None
    heartbeat_seconds: PositiveInt = 30


class SearchParams(StudyAxes):
    """All that decides what a search is for and what its trials are worth."""

    budget: Budget
    train: TrainConfig
    tune: TuneConfig
