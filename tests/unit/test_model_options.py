"""Options of the model: each against a plain reading of its definition, counted exactly, and through a whole run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from finscale.model import patchtst
from finscale.model.budget import activation_bytes
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST, normalise
from finscale.model.shape import Shape, count, flops_per_window, solve
from finscale.training import checkpoint
from finscale.training.batch_size import find_batch_size, fits_in_host_memory
from finscale.training.interrupt import RunStoppedError
from finscale.training.loop import Trainer
from finscale.training.prediction import predict
from finscale.training.resume import SavedRun
from tests.unit.test_mup_training import AfterSomeSteps
from tests.unit.test_training import COMPUTE, CONFIG, TARGET, TRAIN, VALIDATION

BASE = ModelConfig(context_length=16, patch_length=4, patch_stride=2, dropout=0.0)
SHAPE = Shape(d_model=16, n_layers=2, n_heads=4, ffn_dim=24)
CHANNELS = 2
OPTIONS = {
    "input not normalised": {"input_norm": "none"},
    "clipped": {"input_norm": "none", "clip": 1.0},
    "statistics": {"input_norm": "instance_stats", "clip": 2.0},
    "statistics, flat": {"input_norm": "instance_stats", "pooling": "flatten"},
    "last": {"pooling": "last"},
    "attention pooling": {"pooling": "attention"},
    "hidden layer": {"head_hidden": 0.5},
    "hidden layer, flat": {"head_hidden": 0.25, "pooling": "flatten"},
    "channels, shared": {"channel_attention": "shared"},
    "channels, separate": {"channel_attention": "separate"},
    "channels in the last layer": {"channel_attention": "separate", "channel_every": 2, "norm_position": "post"},
    "small patches": {"patch_length": 2, "patch_stride": 1},
    "all at once": {"input_norm": "instance_stats", "clip": 3.0, "pooling": "attention", "head_hidden": 1.0,
                    "channel_attention": "separate", "norm": "batch", "positions": "sincos"},
}  # fmt: skip
MODELS = {name: BASE.model_copy(update=values) for name, values in OPTIONS.items()}
every_option = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def network_of(model: ModelConfig, shape: Shape = SHAPE, seed: int = 0) -> PatchTST:
    """A network whose every parameter has been drawn: none is 0 or 1 because it began so."""
    torch.manual_seed(seed)
    network = PatchTST(shape, model, CHANNELS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def windows(batch: int = 3) -> Tensor:
    return torch.randn(batch, 16, CHANNELS, generator=torch.Generator().manual_seed(1)).cumsum(dim=1) + 1.5


def by_definition(network: PatchTST, x_BLC: Tensor) -> Tensor:
    """The same model in torch's own operations, one sentence of its description at a time."""
    model, w = network.model, dict(network.named_parameters()) | dict(network.named_buffers())
    mean_B1C, deviation_B1C = x_BLC.mean(1, keepdim=True), (x_BLC.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    limit = model.clip or float("inf")
    x_BLC = x_BLC if model.input_norm == "none" else (x_BLC - mean_B1C) / deviation_B1C
    x_BLC = x_BLC.clamp(-limit, limit)
    starts = range(len(x_BLC[0]) - model.patch_length, -1, -model.patch_stride)[::-1]
    patches_BCNP = torch.stack([x_BLC[:, s : s + model.patch_length].transpose(1, 2) for s in starts], 2)
    tokens_BCND = F.linear(patches_BCNP, w["embed.weight"], w["embed.bias"]) + w["position_ND"]
    if model.input_norm == "instance_stats":
        told_BC2 = torch.cat([mean_B1C, deviation_B1C.log()], 1).transpose(1, 2).clamp(-limit, limit)
        token_BCD = F.linear(told_BC2, w["embed_statistics.weight"], w["embed_statistics.bias"])
        tokens_BCND = torch.cat([token_BCD[:, :, None], tokens_BCND], 2)
    for number in range(len(network.layers)):
        own = {name.removeprefix(f"layers.{number}."): tensor for name, tensor in w.items()}
        tokens_BCND = _layer(tokens_BCND, own, network, number)
    if model.pooling == "attention":
        weight_BCN = (tokens_BCND @ w["query_D"] * network.query_scale).softmax(2)
        pooled = (weight_BCN[..., None] * tokens_BCND).sum(2)
    else:
        pooled = {"mean": tokens_BCND.mean(2), "flatten": tokens_BCND, "last": tokens_BCND[:, :, -1]}[model.pooling]
    pooled = pooled.reshape(len(x_BLC), -1)
    if model.head_hidden:
        pooled = F.gelu(F.linear(pooled, w["head_hidden.weight"], w["head_hidden.bias"]))
    return F.linear(pooled * network.readout_scale, w["head.weight"], w["head.bias"])[:, 0]


def _layer(tokens_BCND: Tensor, w: dict[str, Tensor], network: PatchTST, number: int) -> Tensor:
    model = network.model

    def norm(name: str, of: Tensor) -> Tensor:
        if model.norm == "layer":
            return F.layer_norm(of, of.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])
        flat = of.flatten(0, -2)
        centred = (flat - flat.mean(0)) / (flat.var(0, correction=0) + 1e-5).sqrt()
        return (centred * w[f"{name}.weight"] + w[f"{name}.bias"]).view_as(of)

    def attend(name: str, of: Tensor) -> Tensor:
        """Over the second axis from the end."""
        heads, scale = network.layers[0].attention.n_heads, network.layers[0].attention.scale
        query, key, value = (
            part.unflatten(-1, (heads, -1)).transpose(-3, -2)
            for part in F.linear(of, w[f"{name}.qkv.weight"], w[f"{name}.qkv.bias"]).chunk(3, -1)
        )
        mixed = (query @ key.transpose(-1, -2) * scale).softmax(-1) @ value
        return F.linear(mixed.transpose(-3, -2).flatten(-2), w[f"{name}.out.weight"], w[f"{name}.out.bias"])

    def feed_forward(of: Tensor) -> Tensor:
        inner = F.gelu(F.linear(of, w["ffn_in.weight"], w["ffn_in.bias"]))
        return F.linear(inner, w["ffn_out.weight"], w["ffn_out.bias"])

    steps = [("attention_norm", lambda of: attend("attention", of))]
    if model.channel_attention != "none" and (len(network.layers) - 1 - number) % model.channel_every == 0:
        whose = "attention" if model.channel_attention == "shared" else "channel_attention"
        steps.append(("channel_norm", lambda of: attend(whose, of.transpose(1, 2)).transpose(1, 2)))
    steps.append(("ffn_norm", feed_forward))
    for name, step in steps:
        if model.norm_position == "pre":
            tokens_BCND = tokens_BCND + step(norm(name, tokens_BCND))
        else:
            tokens_BCND = norm(name, tokens_BCND + step(tokens_BCND))
    return tokens_BCND


@pytest.mark.parametrize("path", ["own kernels", "long sequences", "torch's"])
@every_option
def test_every_option_is_what_its_definition_says_in_value_and_gradient(
    model: ModelConfig, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "long sequences":
        monkeypatch.setattr(patchtst, "LONGEST_SEQUENCE", 0)
    if path == "torch's":  # as on a GPU
        monkeypatch.setattr(patchtst, "_own_kernels", lambda _: False)
    network, x_BLC = network_of(model), windows()
    outputs = network(x_BLC), by_definition(network, x_BLC)
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    weight_B = torch.randn(3)
    found, expected = (torch.autograd.grad((out * weight_B).sum(), list(network.parameters())) for out in outputs)
    for (name, _), own, other in zip(network.named_parameters(), found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@every_option
def test_every_option_changes_the_output(model: ModelConfig) -> None:
    torch.manual_seed(0)
    usual, network = network_of(BASE), network_of(model)
    outputs = [of(windows()) for of in (usual, network)]
    assert not torch.allclose(*outputs, rtol=1e-3)


@pytest.mark.parametrize("shape", [SHAPE, Shape(32, 3, 4, 50)], ids=["2 layers", "3 layers"])
@every_option
def test_every_option_is_counted_to_the_last_parameter_and_operation(model: ModelConfig, shape: Shape) -> None:
    with torch.device("meta"):
        network = PatchTST(shape, model, 5)
    counts = network.counts()
    assert counts == count(shape, model, 5)
    assert counts.total == sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(3, 16, 5, device="meta"))
    assert counter.get_total_flops() == 3 * flops_per_window(shape, model, 5)


@every_option
def test_every_option_has_a_shape_at_10k_and_1m(model: ModelConfig) -> None:
    for budget in (10_000, 1_000_000):
        assert abs(count(solve(budget, model, 5), model, 5).total / budget - 1) <= 0.005


@every_option
def test_every_option_trains_stops_resumes_predicts_and_comes_back_from_its_checkpoint(
    model: ModelConfig, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"model": model.model_copy(update={"dropout": 0.1}), "epochs": 2})

    def trainer() -> Trainer:
        torch.manual_seed(0)
        return Trainer(PatchTST(SHAPE, config.model, 2), TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)

    whole = trainer()
    whole.fit(lambda epoch: None)
    stopped = trainer()
    stopped.saved, stopped.stop = SavedRun(tmp_path / "run", keep=3), AfterSomeSteps(14)
    with pytest.raises(RunStoppedError):
        stopped.fit(lambda epoch: None)
    resumed = trainer()
    resumed.saved = SavedRun(tmp_path / "run", keep=3)
    resumed.fit(lambda epoch: None)
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())

    made = checkpoint.Checkpoint(whole.model, SHAPE, config.model, ["first", "second"], TARGET, COMPUTE, {})
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    checkpoint.save(made, *files)
    loaded = checkpoint.load(*files, ["first", "second"])
    assert replace(loaded, network=whole.model) == made
    assert (predict(loaded.network, VALIDATION, COMPUTE) == predict(whole.model, VALIDATION, COMPUTE)).all()


def test_a_checkpoint_older_than_the_options_is_rebuilt_as_the_model_that_it_was(tmp_path: Path) -> None:
    network = PatchTST(SHAPE, CONFIG.model, 2)
    made = checkpoint.Checkpoint(network, SHAPE, CONFIG.model, ["first", "second"], TARGET, COMPUTE, {})
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    checkpoint.save(made, *files)
    told = json.loads(files[1].read_text())
    for key in ("input_norm", "clip", "head_hidden", "channel_attention", "channel_every"):
        del told["model"][key]
    files[1].write_text(json.dumps(told))
    assert replace(checkpoint.load(*files, ["first", "second"]), network=network) == made


@every_option
def test_memory_of_every_option_is_known_before_it_runs(model: ModelConfig) -> None:
    usual, kept = (activation_bytes(SHAPE, one, 2, 8) for one in (BASE, model))
    assert kept >= usual * 0.9 or model.num_tokens < BASE.num_tokens
    fits = fits_in_host_memory(SHAPE, model, 2, recompute=False, precision="fp32")
    assert find_batch_size(fits, limit=2) == 2
    assert PatchTST(SHAPE, model, 2).numbers_per_window(2) >= 2 * model.num_tokens * 3 * SHAPE.d_model


def test_attention_over_many_channels_makes_the_passes_of_a_prediction_smaller() -> None:
    mixed = PatchTST(SHAPE, MODELS["channels, shared"], 1000)
    assert mixed.numbers_per_window(1000) == 1000 * BASE.num_tokens * 1000 * SHAPE.n_heads


@every_option
def test_recomputing_activations_changes_no_gradient(model: ModelConfig) -> None:
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = PatchTST(SHAPE, model.model_copy(update={"dropout": 0.2}), CHANNELS, recompute)
        network(windows()).sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(torch.equal(plain, again) for plain, again in zip(*gradients, strict=True))


def test_statistics_give_back_what_instance_norm_takes() -> None:
    """Windows that differ in level and scale alone: one answer under instance norm, two with its statistics."""
    x_BLC = windows(1)
    both_BLC = torch.cat([x_BLC, 5 * x_BLC + 2])
    seeing, blind = network_of(MODELS["statistics"].model_copy(update={"clip": None})), network_of(BASE)
    torch.testing.assert_close(*blind(both_BLC), rtol=1e-3, atol=1e-4)
    assert float(seeing(both_BLC).diff().detach().abs()) > 0.05


@pytest.mark.parametrize(("norm", "far"), [("none", 40.0), ("instance", 4.0)])
def test_clipping_bounds_what_a_single_value_can_do(norm: str, far: float) -> None:
    model = BASE.model_copy(update={"input_norm": norm})
    x_BLC = torch.zeros(1, 16, 1)
    x_BLC[0, -1] = 40.0  # in deviations of the training rows; 3.9 of the window's own
    assert float(normalise(x_BLC, model)[0].max()) == pytest.approx(far, rel=0.05)
    assert float(normalise(x_BLC, model.model_copy(update={"clip": 2.5}))[0].max()) == 2.5


def test_a_clipped_window_s_statistics_are_bounded_too() -> None:
    model = BASE.model_copy(update={"input_norm": "instance_stats", "clip": 3.0})
    _, statistics_BC2 = normalise(1e4 * windows(), model)
    assert statistics_BC2 is not None
    assert float(statistics_BC2.abs().max()) == 3.0


def test_attention_pooling_begins_as_the_mean() -> None:
    networks = []
    for pooling in ("mean", "attention"):
        torch.manual_seed(0)
        networks.append(PatchTST(SHAPE, BASE.model_copy(update={"pooling": pooling}), CHANNELS))
    torch.testing.assert_close(*(network(windows()) for network in networks))
