"""Where a run stands, and what it reports."""

from dataclasses import dataclass, field

from finscale.errors import InputError
from finscale.training.config import TrainConfig


@dataclass(frozen=True)
class Epoch:
    """What one epoch reports. Losses are log-loss in nats, or MSE in squared returns; windows_seen is of the run."""

    epoch: int
    windows_seen: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    is_best: bool


@dataclass(frozen=True)
class FitResult:
    """windows_seen counts a window each time that it is seen, unique_windows once; passes is how often all were."""

    best_epoch: int
    validation_loss: float
    epochs_run: int
    steps: int
    windows_seen: int
    unique_windows: int
    passes: float


@dataclass
class Progress:
    """Where a run stands, in numbers."""

    epoch: int = 1  # under way
    began: int = 0  # the step after which it began
    step: int = 0  # steps done, from which the sampler's position follows
    best_epoch: int = 0
    best_loss: float | None = None
    seconds: float = 0.0  # of training, over all starts
    history: list[Epoch] = field(default_factory=list)


class DivergedError(InputError):
    """The loss stopped being a number, or ran away; the message tells when, and what to lower."""

    def __init__(self, progress: Progress, config: TrainConfig, what: str, last_good: str) -> None:
        history = progress.history[-5:]
        epochs = "; ".join(f"{e.epoch}: train {e.train_loss:.5g}, validation {e.validation_loss:.5g}" for e in history)
        super().__init__(
            f"training diverged in epoch {progress.epoch} ({what}). Epochs before: {epochs or 'none'}. "
            f"Last good state: {last_good}. To avoid it, "
            f"lower train.learning_rate = {config.learning_rate} or train.clip_norm = {config.clip_norm}"
        )
