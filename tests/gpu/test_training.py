"""Training on a GPU: repeatable to the bit, resumable, the same with every way of running a step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from finscale.data.windows import Windows
from finscale.errors import InputError
from finscale.model.patchtst import PatchTST
from finscale.training import checkpoint, graphs
from finscale.training.config import CheckpointConfig
from finscale.training.graphs import StepGraphs
from finscale.training.interrupt import StopRequest
from finscale.training.loop import Trainer
from finscale.training.prediction import predict
from finscale.training.progress import Epoch
from finscale.training.resume import SavedRun
from finscale.training.target import Target
from tests.bench.launches import Operations
from tests.gpu.conftest import compute_on
from tests.unit.test_training import CONFIG, MODEL, ROWS, SHAPE

BATCHES = 11  # of an epoch of the test data: ten of 32 windows and one of 14
QUICK = CONFIG.model_copy(update={"epochs": 4, "patience": 4})
CLOSE = 1e-3  # a step that rounds otherwise; four epochs carry it on


@dataclass
class Run:
    losses: list[float]  # of the epochs: training, validation, ...
    weights: dict[str, torch.Tensor]
    trainer: Trainer

    def is_to_the_bit(self, other: "Run") -> bool:
        same = all(torch.equal(self.weights[name], other.weights[name]) for name in self.weights)
        return same and self.losses == other.losses and len(self.losses) == 2 * QUICK.epochs

    def gap(self, other: "Run") -> float:
        """The largest difference between losses. (AdamW makes a step of any rounding where a gradient is zero.)"""
        return max(abs(a - b) for a, b in zip(self.losses, other.losses, strict=True))


def trainer(device: torch.device, precision: str = "fp32", **changed: Any) -> Trainer:
    compute = compute_on(device, precision)
    config = QUICK.model_copy(update={"precision": precision, **changed})
    train, validation = (Windows(ROWS, split, 16, device) for split in ("train", "validation"))
    torch.manual_seed(0)
    network = PatchTST(SHAPE, config.model, 2, config.recompute).to(device)
    return Trainer(network, train, validation, Target.of(train, binary=True), config, compute, seed=0)


def finish(made: Trainer) -> Run:
    epochs: list[Epoch] = []
    made.fit(epochs.append)
    losses = [loss for epoch in epochs for loss in (epoch.train_loss, epoch.validation_loss)]
    return Run(losses, {name: tensor.cpu() for name, tensor in made.model.state_dict().items()}, made)


class KilledError(Exception):
    """Nothing is saved when it comes."""


class Kill(StopRequest):
    """Asked after every step; ends the process's run after so many, as SIGKILL would."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    def __bool__(self) -> bool:
        self._left -= 1
        if self._left == 0:
            raise KilledError
        return False


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_are_equal_to_the_bit_and_learn(device: torch.device, precision: str) -> None:
    first, again = (finish(trainer(device, precision, learning_rate=6e-3)) for _ in range(2))
    assert first.is_to_the_bit(again)
    assert first.losses[-1] < 0.55 < first.losses[0]  # a coin's loss is 0.693


def check_killed_run_goes_on(folder: Path, after: int, device: torch.device, **changed: Any) -> None:
    """A run that is killed after so many steps, and goes on in a new process, equals one that was not, to the bit."""
    changed |= {"checkpoint": CheckpointConfig(every_steps=4)}
    straight = finish(trainer(device, **changed))
    killed = trainer(device, **changed)
    killed.saved, killed.stop = SavedRun(folder, keep=3), Kill(after)
    with pytest.raises(KilledError):
        killed.fit(lambda epoch: None)
    resumed = trainer(device, **changed)
    resumed.saved = SavedRun(folder, keep=3)
    torch.manual_seed(99)
    went_on = finish(resumed)
    assert resumed.progress.step == QUICK.epochs * BATCHES
    assert went_on.is_to_the_bit(straight), f"largest difference of losses {went_on.gap(straight):.3g}"


@pytest.mark.parametrize("killed_after", [5, BATCHES + 6, 2 * BATCHES])
def test_a_killed_run_goes_on_to_the_same_bit(device: torch.device, killed_after: int, tmp_path: Path) -> None:
    check_killed_run_goes_on(tmp_path, killed_after, device)


def test_so_does_one_in_bf16(cuda: torch.device, tmp_path: Path) -> None:
    check_killed_run_goes_on(tmp_path, BATCHES + 6, cuda, precision="bf16")


@pytest.mark.parametrize("changed", [{"micro_batch": 8}, {"recompute": True}], ids=["passes", "recompute"])
def test_passes_and_recomputing_change_nothing_but_rounding(device: torch.device, changed: dict[str, Any]) -> None:
    exact = {"model": MODEL.model_copy(update={"dropout": 0.0})}
    assert finish(trainer(device, **exact)).gap(finish(trainer(device, **exact, **changed))) < CLOSE


def test_the_fused_optimizer_is_adamw(device: torch.device) -> None:
    fused, plain = finish(trainer(device)), trainer(device, graphs=False)
    (group,) = plain._optimizer.param_groups
    lr, options = float(group["lr"]), {name: group[name] for name in ("betas", "weight_decay", "lr_multiplier")}
    plain._optimizer = torch.optim.AdamW([{"params": group["params"], "lr": lr, **options}], fused=False)
    assert finish(plain).gap(fused) < CLOSE


def test_an_epoch_s_steps_never_wait_for_the_device(device: torch.device) -> None:
    made = trainer(device, micro_batch=16)
    made._train_epoch()  # the first builds kernels and moments
    made.progress.step = made.progress.began
    if device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            made._step(torch.arange(32, device=device))
        finally:
            torch.cuda.set_sync_debug_mode(before)
        return
    with Operations() as counted:
        made._train_epoch()
    assert counted.launched["aten::_fused_adamw_"] == BATCHES
    assert counted.host_reads == 0
    with Operations() as counted:  # and a wait would be seen
        float(made._loss_S[0])
    assert counted.host_reads == 1


def test_a_model_comes_back_from_its_checkpoint_on_any_machine(device: torch.device, tmp_path: Path) -> None:
    run = finish(trainer(device))
    made = run.trainer
    told = checkpoint.Checkpoint(made.model, SHAPE, MODEL, ["first", "second"], made.target, made.compute, {})
    weights, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    checkpoint.save(told, weights, description)
    loaded = checkpoint.load(weights, description, ["first", "second"])
    assert (predict(loaded.network, made.validation, loaded.compute) == predict(
        made.model, made.validation, made.compute
    )).all()  # fmt: skip
    description.write_text(description.read_text().replace('"cuda"', '"cpu"'))
    on_cpu = checkpoint.load(weights, description, ["first", "second"])
    there = Windows(ROWS, "validation", 16, torch.device("cpu"))
    expected = predict(made.model, made.validation, made.compute)
    assert abs(predict(on_cpu.network, there, on_cpu.compute) - expected).max() < 1e-4


@pytest.mark.parametrize("changed", [{}, {"micro_batch": 8}, {"model": MODEL.model_copy(update={"norm": "batch"})}],
                         ids=["default", "passes", "batch norm"])  # fmt: skip
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_replayed_steps_are_the_steps_to_the_bit(cuda: torch.device, precision: str, changed: dict[str, Any]) -> None:
    plain, replayed = (finish(trainer(cuda, precision, graphs=replay, **changed)) for replay in (False, True))
    assert plain.trainer._graphs is None
    assert replayed.trainer._graphs.captures == 2  # whole batches, and each epoch's last
    assert replayed.is_to_the_bit(plain), f"largest difference of losses {replayed.gap(plain):.3g}"


def test_a_step_that_takes_much_memory_is_not_captured(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_LARGEST", 0.0)
    large = finish(trainer(cuda))
    assert large.trainer._graphs.captures == 0
    assert large.is_to_the_bit(finish(trainer(cuda, graphs=False)))


def test_a_step_that_reads_on_the_host_is_named(cuda: torch.device) -> None:
    values = torch.ones(3, device=cuda)

    def step(index_B: torch.Tensor) -> torch.Tensor:
        return values * float(values[index_B].sum())

    replayed: Callable[[torch.Tensor, int], torch.Tensor] = StepGraphs(step)
    index_B = torch.arange(2, device=cuda)
    for _ in range(3):
        replayed(index_B, 2)
    with pytest.raises(InputError, match=r"train.graphs = true: this model's step cannot be captured .*; set train"):
        replayed(index_B, 2)
    torch.cuda.synchronize()


@pytest.mark.parametrize("replay", [False, True])
def test_a_compiled_run_has_the_losses_of_a_plain_one(cuda: torch.device, replay: bool) -> None:
    exact = {"model": MODEL.model_copy(update={"dropout": 0.0})}  # compiled, dropout draws otherwise
    plain, compiled = (finish(trainer(cuda, compile=compile, graphs=replay, **exact)) for compile in (False, True))
    assert compiled.gap(plain) < CLOSE


def test_a_compiled_run_goes_on_to_the_same_bit(cuda: torch.device, tmp_path: Path) -> None:
    check_killed_run_goes_on(tmp_path, BATCHES + 6, cuda, compile=True)
