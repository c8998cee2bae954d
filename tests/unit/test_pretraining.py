"""Pretraining on masked patches: transformers' loss, nothing given away, exact resume, and off means off."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import PatchTSTConfig, PatchTSTForPretraining

from finscale.data.windows import Windows
from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.model.masked import MaskedPatches
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape, solve
from finscale.model.transformers_format import to_transformers
from finscale.training.config import PretrainConfig, RunSettings, TrainConfig
from finscale.training.device import choose_compute
from finscale.training.initial import initial_model
from finscale.training.interrupt import RunStoppedError
from finscale.training.loop import Trainer
from finscale.training.pretrain import Pretrained, Reconstruction, check, masked_model
from finscale.training.pretrain import settings as pretrain_settings
from finscale.training.resume import SavedRun
from finscale.training.run import Files, Run, train
from finscale.training.target import Target

MODEL = ModelConfig(context_length=24, patch_length=4, patch_stride=4, dropout=0.1)
SHAPE = Shape(d_model=16, n_layers=2, n_heads=4, ffn_dim=32)
CONFIG = TrainConfig(
    model=MODEL, epochs=2, patience=9, batch_size=32, learning_rate=1e-3, final_learning_rate=1e-6, weight_decay=0.01,
    betas=(0.9, 0.999), warmup_fraction=0.1, clip_norm=1.0, precision="fp32", device="cpu", threads=1,
    pretrain=PretrainConfig(epochs=8, mask_ratio=0.4, learning_rate=3e-3),
)  # fmt: skip
COMPUTE = choose_compute("cpu", "fp32", 1)


def waves(days: int = 500) -> pd.DataFrame:
    """Two channels that can be foretold from their neighbours: slow waves with a little noise."""
    rng, day = np.random.default_rng(0), np.arange(days)
    channels = np.column_stack([np.sin(day / 3), np.cos(day / 5)]) + 0.05 * rng.normal(size=(days, 2))
    split = np.where(day < 24, "none", np.where(day < days * 0.7, "train", "validation"))
    dates = pd.bdate_range("2010-01-01", periods=days)
    label = (channels[:, 0] > 0).astype(float)
    keys = {"date": dates, "asset": "X", "split": split, "label": label, "exit": dates, "last_known": np.nan}
    return pd.DataFrame(keys | {"first": channels[:, 0], "second": channels[:, 1]})


ROWS = waves()
DATA = {split: Windows(ROWS, split, 24, COMPUTE.device) for split in ("train", "validation")}


def trainer(config: TrainConfig = CONFIG, data: dict[str, Windows] = DATA) -> Trainer:
    model = masked_model(SHAPE, config, 2, seed=0)
    own = pretrain_settings(config)
    return Trainer(model, data["train"], data["validation"], Reconstruction(), own, COMPUTE, 0)


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("input_norm", ["instance", "none"])
def test_loss_and_gradients_are_those_of_transformers_on_the_same_mask(norm: str, input_norm: str) -> None:
    options = MODEL.model_copy(update={"dropout": 0.0, "norm": norm, "input_norm": input_norm})
    torch.manual_seed(0)
    ours = MaskedPatches(SHAPE, options, 3, 0.4)
    theirs = PatchTSTForPretraining(PatchTSTConfig(
        num_input_channels=3, context_length=24, patch_length=4, patch_stride=4, d_model=16, num_hidden_layers=2,
        num_attention_heads=4, ffn_dim=32, pre_norm=True, norm_type=f"{norm}norm", use_cls_token=False,
        scaling="std" if input_norm == "instance" else None, positional_encoding_type="random",
        mask_type="random", random_mask_ratio=0.4,
    ))  # fmt: skip
    theirs.load_state_dict(to_transformers(ours.state_dict(), "classification", norm))
    x_BLC = torch.randn(5, 24, 3).cumsum(1)
    torch.manual_seed(7)
    wanted = theirs.train()(past_values=x_BLC).loss
    torch.manual_seed(7)  # both draw the mask alike
    loss = Reconstruction().loss(ours.train()(x_BLC), torch.empty(0))
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    loss.backward()
    wanted.backward()
    grads = to_transformers({name: p.grad for name, p in ours.named_parameters()}, "classification", norm)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(grads[name], parameter.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("stride", [4, 2, 1])
def test_what_is_hidden_is_shown_by_no_patch(stride: int) -> None:
    """Other values on hidden days change nothing that the encoder is given."""
    options = MODEL.model_copy(update={"patch_stride": stride, "input_norm": "none", "dropout": 0.0})
    model = MaskedPatches(SHAPE, options, 2, 0.4).eval()
    hidden_BCN = model.draw(3, 2, torch.device("cpu"))
    assert (hidden_BCN.sum(2) == options.num_patches - int(options.num_patches * 0.6)).all()
    given = []
    model.encode = lambda normed, statistics: given.append(normed) or PatchTST.encode(model, normed, statistics)
    x_BLC = torch.randn(3, 24, 2)
    error_B = model(x_BLC)
    covered_BCL = (hidden_BCN[..., None] & model.days.bool()).any(2)
    other_BLC = torch.where(covered_BCL.transpose(1, 2), x_BLC + 5, x_BLC)
    assert not torch.equal(model(other_BLC), error_B)
    assert torch.equal(given[0], given[1])
    assert torch.equal(given[0] == 0, covered_BCL.transpose(1, 2))


def test_reconstruction_learns_what_neighbours_tell_and_its_error_falls() -> None:
    epochs, own = [], PretrainConfig(epochs=12, mask_ratio=0.4, learning_rate=0.01)
    options = {"model": MODEL.model_copy(update={"dropout": 0.0}), "batch_size": 16, "patience": 99, "pretrain": own}
    trainer(CONFIG.model_copy(update=options)).fit(epochs.append)
    losses = [epoch.validation_loss for epoch in epochs]
    assert losses[0] > 0.7  # a constant's is about 1: windows are normed
    assert min(losses) < 0.3


def test_a_pretraining_stopped_after_any_step_goes_on_to_the_same_bit(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"pretrain": CONFIG.pretrain.model_copy(update={"epochs": 1.5})})
    whole = trainer(config)
    expected = whole.fit(lambda epoch: None)
    for stop_after in (3, 12):
        first = trainer(config)
        first.saved = SavedRun(tmp_path / str(stop_after), keep=3)
        first.on_windows = lambda windows, it=first, at=stop_after: setattr(
            it.stop, "signal", "SIGTERM" if it.progress.step == at else None
        )
        with pytest.raises(RunStoppedError):
            first.fit(lambda epoch: None)
        second = trainer(config)
        second.saved = first.saved
        assert second.fit(lambda epoch: None) == expected
        weights = second.model.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.model.state_dict().items())


@pytest.mark.parametrize(
    "options", [{}, {"input_norm": "instance_stats"}, {"pooling": "attention", "head_hidden": 1.0},
                {"channel_attention": "separate"}, {"parametrization": "mup"}]
)  # fmt: skip
def test_the_encoder_is_taken_over_and_the_head_is_fresh(options: dict) -> None:
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update=options)})
    masked = masked_model(SHAPE, config, 2, seed=1)
    torch.manual_seed(0)
    network = PatchTST(SHAPE, config.model, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Pretrained(MaskedPatches.encoder_weights(masked.state_dict()), None, [], 0, 0.0).start(network)
    for name, tensor in network.state_dict().items():
        of_head = name.startswith("head") or name == "query_D"
        assert torch.equal(tensor, before[name] if of_head else masked.state_dict()[name]), name


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in no repository: DVCLive would read this one's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_of(folder: Path, epochs: float) -> Run:
    folder.mkdir()
    ROWS.to_parquet(folder / "development.parquet")
    changed = CONFIG.model_copy(update={"pretrain": CONFIG.pretrain.model_copy(update={"epochs": epochs})})
    settings = RunSettings(task="direction", budget="5K", seed=0, train=changed)
    files = Files(folder / "development.parquet", folder / "model.safetensors", folder / "model.json", folder / "log")
    return Run("key", "name", settings, COMPUTE, files, folder / "scratch")


def test_a_run_pretrains_first_counts_it_and_tells_its_losses(outside: Path) -> None:
    plain, pretrained = run_of(outside / "plain", 0), run_of(outside / "pretrained", 0.5)
    train(plain)
    done = train(pretrained)
    without, told = (json.loads(one.files.model.read_text())["run"] for one in (plain, pretrained))
    windows = len(DATA["train"])
    assert (without["pretrain_windows"], told["pretrain_windows"]) == (0, round(0.5 * windows))
    assert told["windows_seen"] == without["windows_seen"] == 2 * windows
    assert done.windows_seen == 2 * windows + told["pretrain_windows"]
    assert told["train_flops"] == pytest.approx(without["train_flops"] * 1.25, rel=0.01)
    assert told["params_total"] == without["params_total"]
    shape = solve(5000, MODEL, 2)
    assert told["pretraining"]["params_head"] == shape.d_model * 4 + 4
    losses = pd.read_csv(pretrained.files.log / "pretraining.csv")
    assert losses["windows_seen"].tolist() == [told["pretrain_windows"]]
    assert not (plain.files.log / "pretraining.csv").exists()
    ours, theirs = load_file(pretrained.files.weights), load_file(plain.files.weights)
    assert ours.keys() == theirs.keys()
    assert not torch.equal(ours["embed.weight"], theirs["embed.weight"])


def test_a_run_stopped_after_pretraining_does_not_pretrain_again(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = run_of(outside / "whole", 0.5), run_of(outside / "stopped", 0.5)
    train(whole)
    steps, between = [], Trainer._between_steps

    def signalled(self: Trainer, started: float) -> None:
        steps.append(type(self.model))
        if steps.count(PatchTST) == 5:
            self.stop.signal = "SIGTERM"
        between(self, started)

    monkeypatch.setattr(Trainer, "_between_steps", signalled)
    with pytest.raises(SystemExit, match="stopped by SIGTERM in epoch 1, after step 5; saved"):
        train(stopped)
    steps.clear()
    steps += [PatchTST] * 6  # not again
    train(stopped)
    assert MaskedPatches not in steps
    assert stopped.files.weights.read_bytes() == whole.files.weights.read_bytes()
    assert (stopped.files.log / "pretraining.csv").read_bytes() == (whole.files.log / "pretraining.csv").read_bytes()


def test_a_ratio_that_hides_nothing_or_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"mask_ratio = 0\.9 hides 6 of 6 patches"):
        check(CONFIG.model_copy(update={"pretrain": PretrainConfig(epochs=1, mask_ratio=0.9)}))
    check(CONFIG)


def test_off_is_training_as_if_it_were_not_there(outside: Path) -> None:
    off = run_of(outside / "off", 0)
    train(off)
    target = Target.of(DATA["train"], binary=True)
    network = initial_model(solve(5000, MODEL, 2), CONFIG, 5000, DATA["train"], target, 0)
    Trainer(network, DATA["train"], DATA["validation"], target, CONFIG, COMPUTE, 0).fit(lambda epoch: None)
    weights = load_file(off.files.weights)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())
