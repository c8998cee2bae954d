"""Maximal-update parametrization in a run: schedule, interruption and checkpoint keep it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finscale.model.mup import parameter_groups
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.training import checkpoint
from finscale.training.config import TrainConfig
from finscale.training.interrupt import RunStoppedError, StopRequest
from finscale.training.loop import Trainer
from finscale.training.prediction import predict
from finscale.training.progress import Epoch
from finscale.training.resume import SavedRun
from tests.unit.test_training import COMPUTE, CONFIG, TARGET, TRAIN, VALIDATION

WIDE = Shape(d_model=128, n_layers=1, n_heads=4, ffn_dim=1024)  # hidden weights at 1/2 and 1/4 of the rate
MUP = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"parametrization": "mup"}), "epochs": 2})


class AfterSomeSteps(StopRequest):
    """Asks to stop once the loop has looked `left` times."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left, self.signal = left, "SIGTERM"

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left < 0


def trainer_of(config: TrainConfig) -> Trainer:
    torch.manual_seed(0)
    return Trainer(PatchTST(WIDE, config.model, 2), TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)


def test_in_the_warm_up_s_first_step_each_weight_moves_by_its_own_learning_rate() -> None:
    # Adam's first step is the learning rate in each entry, whatever the gradient.
    one_step = {"epochs": 1, "batch_size": len(TRAIN), "weight_decay": 0.0, "warmup_fraction": 0.0}
    config = MUP.model_copy(update=one_step | {"learning_rate": 1e-3})
    trainer = trainer_of(config)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.fit(lambda epoch: None)
    groups = parameter_groups(trainer.model, config.model, 0.0)
    multiplier = {id(parameter): group["lr_multiplier"] for group in groups for parameter in group["params"]}
    assert set(multiplier.values()) == {1.0, 1 / 2, 1 / 4}
    for name, parameter in trainer.model.named_parameters():
        moved = float((parameter.detach() - before[name]).abs().max())
        assert moved == pytest.approx(1e-3 * multiplier[id(parameter)], rel=1e-2), name


def test_weight_decay_shrinks_every_weight_by_the_same_factor() -> None:
    one_step = {"epochs": 1, "batch_size": len(TRAIN), "warmup_fraction": 0.0, "learning_rate": 1e-3}
    weights = []
    for decay in (0.0, 10.0):
        trainer = trainer_of(MUP.model_copy(update=one_step | {"weight_decay": decay}))
        before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
        trainer.fit(lambda epoch: None)
        weights.append(trainer.model.state_dict())
    for name, old in before.items():
        torch.testing.assert_close(weights[0][name] - weights[1][name], 1e-3 * 10.0 * old, rtol=1e-3, atol=1e-6)


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, epochs, again = trainer_of(MUP), list[Epoch](), list[Epoch]()
    whole.fit(epochs.append)
    stopped = trainer_of(MUP)
    stopped.saved, stopped.stop = SavedRun(tmp_path, keep=3), AfterSomeSteps(14)  # in the second epoch
    with pytest.raises(RunStoppedError, match="after step 15"):
        stopped.fit(lambda epoch: None)
    resumed = trainer_of(MUP)
    resumed.saved = SavedRun(tmp_path, keep=3)
    resumed.fit(again.append)
    assert again == epochs
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())


def test_a_checkpoint_rebuilds_the_parametrization(tmp_path: Path) -> None:
    network = trainer_of(MUP).model
    made = checkpoint.Checkpoint(network, WIDE, MUP.model, ["first", "second"], TARGET, COMPUTE, {})
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    checkpoint.save(made, *files)
    loaded = checkpoint.load(*files, ["first", "second"])
    assert replace(loaded, network=network) == made
    assert torch.equal(*(torch.from_numpy(predict(one, VALIDATION, COMPUTE)) for one in (loaded.network, network)))
