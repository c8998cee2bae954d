"""The course of a run, counted in windows: how many it sees, after which steps it is validated, how fast it learns.

A pass is a seeded order of all training windows, a batch after another; the last batch of a pass is what is left of it.
A run may end within a pass: its last batch is cut off there, so that it sees as many windows as it was given.
An epoch, in logs and saved states, is what lies between two validations: a pass, or about `validate_every` windows.
"""

import math
from dataclasses import dataclass

from finscale.errors import InputError
from finscale.training.config import TrainConfig

_MOST_VALIDATION = 0.5  # of the computing


@dataclass(frozen=True)
class Schedule:
    """windows: of the training split; batch: windows of a step; total: windows seen if nothing ends the run before;
    every: windows between two validations."""

    windows: int
    batch: int
    total: int
    every: int

    @classmethod
    def of(cls, windows: int, config: TrainConfig) -> "Schedule":
        total = max(1, round(config.epochs * windows))
        if config.max_windows:
            total = min(total, config.max_windows)
        return cls(windows, config.batch_size, total, config.validate_every or windows)

    @property
    def steps_per_pass(self) -> int:
        return math.ceil(self.windows / self.batch)

    @property
    def total_steps(self) -> int:
        return self._step_at(self.total)

    @property
    def epochs(self) -> int:
        """Validations, if nothing ends the run before."""
        step = count = 0
        while step < self.total_steps:
            step, count = self.epoch_end(step), count + 1
        return count

    def seen(self, step: int) -> int:
        """Windows seen by the end of `step` steps, repeated ones each time."""
        passes, batches = divmod(step, self.steps_per_pass)
        return min(self.total, passes * self.windows + min(self.windows, batches * self.batch))

    def epoch_end(self, step: int) -> int:
        """The step after which the epoch ends that is under way after `step` steps: the first to reach a multiple of
        `every` windows, or the last."""
        return self._step_at(min(self.total, (self.seen(step) // self.every + 1) * self.every))

    def place(self, step: int) -> tuple[int, slice]:
        """The pass, from 0, that step `step` (from 0) belongs to, and its windows' places in that pass's order."""
        passes, batches = divmod(step, self.steps_per_pass)
        start = batches * self.batch
        return passes, slice(start, start + self.seen(step + 1) - self.seen(step))

    def told(self, validation: int, config: TrainConfig) -> str:
        """'30 passes over 3,442 windows, validated 30 times on 249 (2 % of the computing)'.

        validation: windows of a validation; one costs a third of what it costs to train on it. Raises InputError where
        train.validate_every makes validation cost more than training.
        """
        epochs = self.epochs
        share = epochs * validation / (epochs * validation + 3 * self.total)
        if config.validate_every and share > _MOST_VALIDATION:
            raise InputError(
                f"params.yaml: train.validate_every = {config.validate_every}: {epochs:,} validations on "
                f"{validation:,} windows cost more than training on {self.total:,}; raise it, or set "
                "train.validation_windows"
            )
        return (
            f"{self.total / self.windows:.4g} passes over {self.windows:,} windows, validated {epochs:,} times on "
            f"{validation:,} ({share:.1%} of the computing)"
        )

    def learning_rate_factor(self, step: int, config: TrainConfig) -> float:
        """Multiplier of the peak learning rate at this step, over all that the run may see."""
        return learning_rate_factor(step, self.total_steps, config)

    def _step_at(self, seen: int) -> int:
        """The first step by whose end that many windows are seen."""
        passes, rest = divmod(seen, self.windows)
        return passes * self.steps_per_pass + math.ceil(rest / self.batch)


def learning_rate_factor(step: int, total_steps: int, config: TrainConfig) -> float:
    """Multiplier of the peak learning rate: linear warm-up, then cosine to the final rate."""
    warmup = round(config.warmup_fraction * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    floor = config.final_learning_rate / config.learning_rate
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
