"""The training loop: seeded, warm-up and cosine, clipping, early stopping, best weights back.

A run is a sequence of steps; between any two of them it can be stopped, and the saved state (finscale.training.resume)
makes it go on to the same last bit. One optimizer step sees `batch_size` windows, in passes of `micro_batch`; under
torchrun every process takes its share of each pass's windows.

Which windows a step sees, and after which steps the run is validated, is the schedule's to say
(finscale.training.schedule); an epoch is what lies between two validations.

Shapes: B batch, L context, C channels, S steps of an epoch.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor, nn

from finscale.data.windows import Windows
from finscale.model.mup import parameter_groups
from finscale.model.patchtst import PatchTST
from finscale.training import sharding
from finscale.training.config import TrainConfig
from finscale.training.device import Compute, compiled, generator_states, set_generator_states
from finscale.training.graphs import StepGraphs
from finscale.training.interrupt import RunStoppedError, StopRequest
from finscale.training.prediction import mean_loss
from finscale.training.progress import DivergedError, Epoch, FitResult, Progress
from finscale.training.resume import SavedRun
from finscale.training.schedule import Schedule
from finscale.training.target import Criterion
from finscale.training.thermal import ThermalGuard

_DIVERGED = 10.0  # a constant prediction loses at most 0.69 nats, or 1 in z-scored units


class Trainer:
    """One run: fit() trains to the end, or to a request to stop."""

    def __init__(
        self, model: PatchTST, train: Windows, validation: Windows, target: Criterion, config: TrainConfig,
        compute: Compute, seed: int,
    ) -> None:  # fmt: skip
        self.model, self.train, self.validation, self.target = model, train, validation, target
        self.config, self.compute, self.seed = config, compute, seed
        self.progress = Progress()
        self.saved: SavedRun | None = None
        self.stop: StopRequest = StopRequest()
        self.guard: ThermalGuard | None = None
        self.micro_batch = config.micro_batch if isinstance(config.micro_batch, int) else config.batch_size
        self.slowdown = 0.0  # pause after each step, as a multiple of the step's own time
        forward = compiled(model) if config.compile else model
        self._compiled = cast(Callable[[Tensor], Tensor], forward)
        self.schedule = Schedule.of(len(train), config)
        self.on_windows: Callable[[int], object] = lambda windows: None  # told how many windows each step has seen
        self._pass: tuple[int, Tensor] | None = None  # the one under way, and its order of windows
        self._loss_S = self._no_losses()
        self._best_weights = _copy(model.state_dict())
        self._started = time.perf_counter()
        on_cuda = compute.device.type == "cuda"
        self._optimizer = _optimizer(model, config, compute)
        # Recomputing layers sets the generator back, which a capture cannot.
        graphs = on_cuda and config.graphs and not config.recompute and sharding.world_size() == 1
        self._graphs = StepGraphs(self._step) if graphs else None

    def fit(self, on_epoch: Callable[[Epoch], None]) -> FitResult:
        """Train until early stopping or the last epoch and leave the best epoch's weights in the model.

        on_epoch sees every epoch of the run in order, those of an earlier, interrupted start too. Raises
        RunStoppedError when asked to stop, and DivergedError where the loss stops being a number.
        """
        self._resume()
        self._started = time.perf_counter() - self.progress.seconds
        for epoch in self.progress.history:
            on_epoch(epoch)
        while not self._finished():
            self._train_epoch()
            on_epoch(self._end_epoch())
        self.model.load_state_dict(self._best_weights)
        self._optimizer.zero_grad(set_to_none=True)
        if self._graphs:
            self._graphs.forget()
        done = self.progress
        done.seconds = time.perf_counter() - self._started
        seen = self.schedule.seen(done.step)
        return FitResult(
            done.best_epoch, cast(float, done.best_loss), len(done.history), done.step, seen,
            min(seen, len(self.train)), seen / len(self.train),
        )  # fmt: skip

    def _finished(self) -> bool:
        progress = self.progress
        without_better = len(progress.history) - progress.best_epoch
        return progress.step >= self.schedule.total_steps or without_better >= self.config.patience

    def _train_epoch(self) -> None:
        self.model.train()
        progress = self.progress
        while progress.step < progress.began + len(self._loss_S):
            started = time.perf_counter()
            index_B = self._batch(progress.step)
            self._loss_S[progress.step - progress.began] = self.step(index_B)
            progress.step += 1
            self.on_windows(len(index_B))
            self._between_steps(started)

    def _batch(self, step: int) -> Tensor:
        """Positions of the windows that this step sees."""
        number, place = self.schedule.place(step)
        if self._pass is None or self._pass[0] != number:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number + 1)
            order = torch.randperm(len(self.train), generator=generator)
            self._pass = number, order.to(self.compute.device)
        return self._pass[1][place]

    def _no_losses(self) -> Tensor:
        """Room for the loss of each step of the epoch that begins."""
        began = self.progress.began
        return torch.zeros(self.schedule.epoch_end(began) - began, device=self.compute.device)

    def step(self, index_B: Tensor) -> Tensor:
        """One optimizer step on these windows, replayed where it is captured; returns its loss, as _step does."""
        _set_learning_rate(self._optimizer, self._learning_rate())
        return self._graphs(index_B, self.micro_batch) if self._graphs else self._step(index_B)

    def _step(self, index_B: Tensor) -> Tensor:
        """What step() captures; returns the batch's mean loss (this process's share of it), or NaN. Never waits."""
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.compute.device)
        for part in index_B.split(self.micro_batch):
            mine, weight = sharding.share(part, len(index_B))
            x_BLC, y_B = self.train.gather(mine)
            whole = len(part) == self.micro_batch  # what is left of an epoch is not worth a compilation of its own
            with self.compute.autocast():
                output_B = self._compiled(x_BLC) if whole else self.model(x_BLC)
            loss = self.target.loss(output_B.float(), y_B) * weight
            (loss * sharding.world_size()).backward()  # gradients are averaged over processes
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self._optimizer.step()
        return torch.where(sharding.whole(norm).isfinite(), total, torch.nan)

    def _learning_rate(self) -> float:
        return self.config.learning_rate * self.schedule.learning_rate_factor(self.progress.step, self.config)

    def _between_steps(self, started: float) -> None:
        if sharding.any_process(bool(self.stop)):
            self._stop(f"stopped by {self.stop.signal or 'another process'}")
        if self.guard and self.progress.step % self.config.thermal.check_batches == 0:
            heat = self.guard.check(self.stop)
            if heat == "stop":
                self._stop(f"stopped at {self.guard.temperature:.0f} °C (train.thermal.critical)")
            if heat == "slower":
                self.micro_batch, self.slowdown = max(1, self.micro_batch // 2), 1.0
        every = self.config.checkpoint.every_steps
        if every and self.progress.step % every == 0:
            self.save()
        if self.slowdown:
            self.compute.wait()
            time.sleep(self.slowdown * (time.perf_counter() - started))

    def _stop(self, reason: str) -> None:
        self.save()
        where = f"saved in {self.saved.folder}; `dvc repro` goes on from there" if self.saved else "nothing was saved"
        raise RunStoppedError(
            f"train: {reason} in epoch {self.progress.epoch}, after step {self.progress.step}; {where}"
        )

    def _end_epoch(self) -> Epoch:
        self._check_losses()
        progress, target = self.progress, self.target
        seen_S = [self.schedule.seen(step) for step in range(progress.began, progress.step + 1)]
        sizes_S = torch.tensor(seen_S, device=self.compute.device).diff().to(self._loss_S.dtype)
        train_loss = float((sharding.summed(self._loss_S) * sizes_S).sum()) / (seen_S[-1] - seen_S[0])
        validation_loss = target.reported(mean_loss(self.model, self.validation, target, self.compute))
        if not math.isfinite(validation_loss) or train_loss > _DIVERGED:
            self._diverged(f"train loss {train_loss:.5g} after step {progress.step}, validation {validation_loss:.5g}")
        is_best = progress.best_loss is None or validation_loss < progress.best_loss
        losses = target.reported(train_loss), validation_loss
        epoch = Epoch(progress.epoch, seen_S[-1], *losses, self._learning_rate(), is_best)
        if is_best:
            progress.best_loss, progress.best_epoch = validation_loss, progress.epoch
            for name, tensor in self.model.state_dict().items():
                self._best_weights[name].copy_(tensor)  # in place: two copies would not fit beside the largest models
        progress.history.append(epoch)
        progress.epoch, progress.began = progress.epoch + 1, progress.step
        self._loss_S = self._no_losses()
        if is_best or epoch.epoch % self.config.checkpoint.every_epochs == 0:
            self.save()
        return epoch

    def save(self) -> None:
        """Save the state, and the best weights where they are new; a diverged state is refused."""
        if not self.saved:
            return
        self._check_losses()
        progress = self.progress
        progress.seconds = time.perf_counter() - self._started
        if progress.best_epoch and not self.saved.has_best(progress.best_epoch):
            self.saved.save_best(self._best_weights, progress.best_epoch, cast(float, progress.best_loss))
        tensors = {"losses": sharding.summed(self._loss_S), **generator_states(self.compute.device)}
        tensors |= sharding.training_state(self.model, self._optimizer)
        self.saved.save(tensors, asdict(progress))

    def _resume(self) -> None:
        found = self.saved.newest() if self.saved else None
        if found is None:
            return
        history = [Epoch(**epoch) for epoch in found.numbers["history"]]
        self.progress = Progress(**(found.numbers | {"history": history}))
        sharding.prepare_moments(self.model, self._optimizer, found.folder)
        losses = torch.zeros(sharding.shape_of(found.folder, "losses"), device=self.compute.device)
        state = {"losses": losses, **generator_states(self.compute.device)}
        sharding.read_tensors(found.folder, state | sharding.training_state(self.model, self._optimizer))
        set_generator_states(self.compute.device, state)
        self._loss_S = losses / sharding.world_size()
        if found.best:
            sharding.read_tensors(found.best, self._best_weights)
        if not sharding.is_main():
            return
        print(f"train: goes on after step {self.progress.step}, in epoch {self.progress.epoch}", flush=True)

    def _check_losses(self) -> None:
        losses = sharding.summed(self._loss_S)[: self.progress.step - self.progress.began]
        if not bool(losses.isfinite().all()):
            first = int((~losses.isfinite()).nonzero()[0])
            step = self.progress.began + first + 1
            before = ", ".join(f"{loss:.4g}" for loss in losses[max(0, first - 5) : first].tolist()) or "none"
            self._diverged(f"at step {step} the loss is no number; losses of the steps before: {before}")

    def _diverged(self, what: str) -> None:
        last_good = self.saved.states()[-1:] if self.saved else []
        raise DivergedError(self.progress, self.config, what, str(last_good[0]) if last_good else "none")


def fit(
    model: PatchTST, train: Windows, validation: Windows, target: Criterion, config: TrainConfig, compute: Compute,
    seed: int, on_epoch: Callable[[Epoch], None],
) -> FitResult:  # fmt: skip
    """Train without saved states; see Trainer.fit."""
    return Trainer(model, train, validation, target, config, compute, seed).fit(on_epoch)


def _optimizer(model: PatchTST, config: TrainConfig, compute: Compute) -> torch.optim.AdamW:
    on_cuda = compute.device.type == "cuda"
    made = torch.optim.AdamW(
        parameter_groups(model, config.model, config.weight_decay), lr=config.learning_rate, betas=config.betas,
        fused=True, capturable=on_cuda,
    )  # fmt: skip
    if on_cuda:  # a captured step reads its learning rate from memory
        for group in made.param_groups:
            group["lr"] = torch.tensor(config.learning_rate, device=compute.device)
    return made


def _set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        own = rate * group["lr_multiplier"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


def _copy(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.detach().clone() for name, tensor in weights.items()}
