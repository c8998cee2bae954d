"""Training and checkpoints, on a planted signal that a small model can learn."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from finscale.data.windows import Windows
from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.training import checkpoint
from finscale.training.config import CheckpointConfig, TrainConfig
from finscale.training.device import choose_compute
from finscale.training.loop import Trainer, fit
from finscale.training.prediction import mean_loss, predict
from finscale.training.progress import Epoch, FitResult
from finscale.training.resume import SavedRun
from finscale.training.schedule import learning_rate_factor
from finscale.training.target import Target

MODEL = ModelConfig(context_length=16, patch_length=8, patch_stride=4, dropout=0.1)
SHAPE = Shape(d_model=16, n_layers=1, n_heads=4, ffn_dim=32)
CONFIG = TrainConfig(
    model=MODEL, epochs=6, patience=3, batch_size=32, learning_rate=3e-3, final_learning_rate=1e-6, weight_decay=0.01,
    betas=(0.9, 0.999), warmup_fraction=0.1, clip_norm=1.0, precision="fp32", device="cpu", threads=1,
)  # fmt: skip
COMPUTE = choose_compute("cpu", "fp32", 1)


def planted(days: int = 500) -> pd.DataFrame:
    """Two channels of noise; the label says whether the first rose over the last eight days."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(days, 2)).cumsum(axis=0)
    label = np.append(np.zeros(8), walk[8:, 0] > walk[:-8, 0]).astype(float)
    split = np.where(np.arange(days) < 16, "none", np.where(np.arange(days) < days * 0.7, "train", "validation"))
    dates = pd.bdate_range("2010-01-01", periods=days)
    keys = {"date": dates, "asset": "X", "split": split, "label": label, "exit": dates, "last_known": np.nan}
    return pd.DataFrame(keys | {"first": walk[:, 0], "second": walk[:, 1]})


ROWS = planted()
TRAIN, VALIDATION = (Windows(ROWS, split, 16, COMPUTE.device) for split in ("train", "validation"))
TARGET = Target.of(TRAIN, binary=True)


def trained(config: TrainConfig = CONFIG, seed: int = 0) -> tuple[PatchTST, FitResult, list[Epoch]]:
    torch.manual_seed(seed)
    network, epochs = PatchTST(SHAPE, config.model, 2), []
    result = fit(network, TRAIN, VALIDATION, TARGET, config, COMPUTE, seed, epochs.append)
    return network, result, epochs


def test_training_learns_what_is_there() -> None:
    _, result, epochs = trained(CONFIG.model_copy(update={"epochs": 15, "patience": 15}))
    assert result.validation_loss < 0.4  # a coin's is 0.693
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_the_best_epoch_s_weights_are_what_remains() -> None:
    network, result, epochs = trained(CONFIG.model_copy(update={"epochs": 12, "learning_rate": 0.02}))
    losses = [epoch.validation_loss for epoch in epochs]
    assert result.best_epoch == 1 + int(np.argmin(losses))
    assert mean_loss(network, VALIDATION, TARGET, COMPUTE) == result.validation_loss == min(losses)
    assert [epoch.is_best for epoch in epochs] == [loss < min([9.0, *losses[:i]]) for i, loss in enumerate(losses)]


def test_training_stops_after_patience_epochs_without_improvement() -> None:
    _, result, epochs = trained(CONFIG.model_copy(update={"epochs": 60, "learning_rate": 0.03, "patience": 2}))
    assert result.epochs_run < 60
    assert result.epochs_run == len(epochs) == result.best_epoch + 2
    assert result.windows_seen == result.epochs_run * len(TRAIN)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    first, again, other = (trained(seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 1e-3}, {"final_learning_rate": 1e-3}, {"weight_decay": 0.5}, {"betas": (0.8, 0.999)},
        {"betas": (0.9, 0.9)}, {"warmup_fraction": 0.5}, {"clip_norm": 1e-3}, {"batch_size": 16}, {"epochs": 7},
        {"patience": 1}, {"precision": "bf16"}, {"model": MODEL.model_copy(update={"dropout": 0.0})},
        {"model": MODEL.model_copy(update={"patch_length": 4})},
        {"model": MODEL.model_copy(update={"patch_stride": 2})},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_setting_of_training_is_used(change: dict) -> None:
    # Patience shows where the validation loss rises for an epoch and falls again.
    usual = CONFIG.model_copy(update={"learning_rate": 0.05, "epochs": 14} if "patience" in change else {})
    config = usual.model_copy(update=change)
    compute = choose_compute("cpu", config.precision, 1)
    torch.manual_seed(0)
    network = PatchTST(SHAPE, config.model, 2)
    fit(network, TRAIN, VALIDATION, TARGET, config, compute, 0, lambda epoch: None)
    weights, expected = network.state_dict(), trained(usual)[0].state_dict()
    assert any(
        weights[name].shape != expected[name].shape or not torch.equal(weights[name], expected[name])
        for name in expected
    )


def test_the_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    factors = [learning_rate_factor(step, 1000, CONFIG) for step in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[99] == 1.0
    assert factors[100] == pytest.approx(1.0)
    assert factors[550] == pytest.approx(0.5, abs=1e-3)
    assert factors[-1] == pytest.approx(CONFIG.final_learning_rate / CONFIG.learning_rate, abs=1e-4)
    assert factors[100:] == sorted(factors[100:], reverse=True)


def diverging(rows: pd.DataFrame, config: TrainConfig, folder: Path) -> str:
    trainer = Trainer(
        PatchTST(SHAPE, MODEL, 2), Windows(rows, "train", 16, COMPUTE.device), VALIDATION, TARGET, config, COMPUTE, 0
    )
    trainer.saved = SavedRun(folder, keep=3)
    with pytest.raises(InputError) as raised:
        trainer.fit(lambda epoch: None)
    return str(raised.value)


def test_a_loss_that_is_no_number_stops_the_run_and_names_step_losses_and_last_good_state(tmp_path: Path) -> None:
    # The last training day is in one window of epoch 1.
    spoiled = ROWS.assign(first=ROWS["first"].where(np.arange(len(ROWS)) != 349, np.inf))
    config = CONFIG.model_copy(update={"checkpoint": CheckpointConfig(every_steps=1)})
    told = diverging(spoiled, config, tmp_path)
    states = SavedRun(tmp_path, keep=3).states()
    step = int(re.search(r"training diverged in epoch 1 \(at step (\d+) the loss is no number; losses of the", told)[1])
    assert states[-1].name == f"step-{step - 1:08d}"
    assert f"Last good state: {states[-1]}" in told
    assert "lower train.learning_rate = 0.003" in told


def test_a_loss_that_runs_away_stops_the_run(tmp_path: Path) -> None:
    told = diverging(ROWS, CONFIG.model_copy(update={"learning_rate": 30.0, "clip_norm": 1e6}), tmp_path)
    assert re.search(r"training diverged in epoch \d \((train loss|at step)", told)


@pytest.mark.parametrize("changed", [{"micro_batch": 8}, {"recompute": True}])
def test_passes_of_a_batch_and_recomputing_give_the_same_losses(changed: dict) -> None:
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"dropout": 0.0})})
    torch.manual_seed(0)
    network, epochs = PatchTST(SHAPE, config.model, 2, changed.get("recompute", False)), []
    fit(network, TRAIN, VALIDATION, TARGET, config.model_copy(update=changed), COMPUTE, 0, epochs.append)
    for ours, plain in zip(epochs, trained(config)[2], strict=True):
        assert ours.train_loss == pytest.approx(plain.train_loss, rel=1e-5)
        assert ours.validation_loss == pytest.approx(plain.validation_loss, rel=1e-5)


def test_a_regression_is_scored_in_squared_returns() -> None:
    rows = ROWS.assign(label=ROWS["label"] * 0.02 - 0.01)
    windows = Windows(rows, "train", 16, COMPUTE.device)
    target = Target.of(windows, binary=False)
    zero = torch.zeros(len(windows))
    loss = target.reported(float(target.loss(zero, windows.label)))
    assert loss == pytest.approx(float(windows.label.var(unbiased=False)), rel=1e-5)


def test_predictions_do_not_depend_on_the_size_of_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained()[0]
    whole = predict(network, VALIDATION, COMPUTE)
    monkeypatch.setattr("finscale.training.prediction._NUMBERS", 7 * network.numbers_per_window(VALIDATION.channels))
    assert len(whole) == len(VALIDATION)
    np.testing.assert_allclose(predict(network, VALIDATION, COMPUTE), whole, atol=1e-5)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[checkpoint.Checkpoint, Path, Path]:
    made = checkpoint.Checkpoint(trained()[0], SHAPE, MODEL, ["first", "second"], TARGET, COMPUTE, {"params_total": 1})
    weights, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    checkpoint.save(made, weights, description)
    return made, weights, description


def test_a_model_is_rebuilt_from_its_own_checkpoint(saved: tuple[checkpoint.Checkpoint, Path, Path]) -> None:
    made, weights, description = saved
    loaded = checkpoint.load(weights, description, ["first", "second"])
    assert replace(loaded, network=made.network) == made
    np.testing.assert_array_equal(
        predict(loaded.network, VALIDATION, COMPUTE), predict(made.network, VALIDATION, COMPUTE)
    )


def test_another_feature_order_is_refused(saved: tuple[checkpoint.Checkpoint, Path, Path]) -> None:
    _, weights, description = saved
    with pytest.raises(InputError, match="trained on other features"):
        checkpoint.load(weights, description, ["second", "first"])


def test_a_checkpoint_holds_no_pickle(saved: tuple[checkpoint.Checkpoint, Path, Path]) -> None:
    _, weights, description = saved
    header = weights.read_bytes()
    assert json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["head.bias"]["dtype"] == "F32"
    assert json.loads(description.read_text())["shape"]["n_heads"] == 4


def test_an_absent_device_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(InputError, match=r"train\.device = cuda: this machine has none; use auto or cpu"):
        choose_compute("cuda", "auto", 1)
