"""Maximal-update parametrization: what a training step changes does not depend on the width."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PatchTSTForClassification

from finscale.model.config import ModelConfig
from finscale.model.mup import BASE_FFN, BASE_HEAD_WIDTH, BASE_WIDTH, parameter_groups
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.model.transformers_format import load_pretrained, save_pretrained

SP = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.0)
MUP = SP.model_copy(update={"parametrization": "mup"})
torch.set_num_threads(1)  # as in a run; two threads on matrices this small only wait for each other
WIDTHS = (32, 64, 128, 256, 512)
CHANNELS, LAYERS, STEPS = 3, 2, 3
BOUND = 0.2  # of a slope: a sixteenfold width may change an output's movement by no more than 1.75


def shape_of(width: int) -> Shape:
    return Shape(width, LAYERS, n_heads=4, ffn_dim=4 * width)


def network_of(model: ModelConfig, shape: Shape, seed: int = 0) -> PatchTST:
    torch.manual_seed(seed)
    return PatchTST(shape, model, CHANNELS)


@contextmanager
def outputs_of(network: PatchTST) -> Iterator[dict[str, Tensor]]:
    """The output of every linear and every transformer layer in the latest forward pass, by name."""
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _module, _given, output, name=name: seen.update({name: output.detach()}))
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) or (name.startswith("layers.") and name.count(".") == 1)
    ]
    yield seen
    for hook in hooks:
        hook.remove()


def changes(model: ModelConfig, width: int, seed: int, rate: float) -> dict[str, float]:
    """Mean absolute change of each output over a few AdamW steps on one batch."""
    network = network_of(model, shape_of(width), seed)
    x_BLC, y_B = torch.randn(8, 60, CHANNELS).cumsum(dim=1), (torch.rand(8) < 0.4).float()
    optimizer = torch.optim.AdamW(parameter_groups(network, model, 0.01), lr=rate)
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_multiplier"]
    # By torch's own operations: the CPU's attention kernel takes its projections in, and no hook sees them.
    with pytest.MonkeyPatch.context() as patch, outputs_of(network) as seen:
        patch.setattr("finscale.model.patchtst._own_kernels", lambda _: False)
        network(x_BLC)
        before = dict(seen)
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(network(x_BLC), y_B).backward()
            optimizer.step()
        network(x_BLC)
        after = with_logits(network, seen)
        return {name: float((after[name] - old).abs().mean()) for name, old in with_logits(network, before).items()}


def with_logits(network: PatchTST, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs, and what each attention's softmax saw."""
    logits = {}
    for number, layer in enumerate(network.layers):
        qkv = outputs[f"layers.{number}.attention.qkv"].unflatten(0, (-1, SP.num_patches))
        query, key, _ = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        logits[f"layers.{number}.attention.logits"] = query @ key.transpose(-1, -2) * layer.attention.scale
    return outputs | logits


def slopes(model: ModelConfig, rate: float = 1e-3) -> dict[str, float]:
    """Per output: the slope of log change over log width; 0 = a step does the same at any width."""
    by_width = []
    for width in WIDTHS:
        runs = [changes(model, width, seed, rate) for seed in range(2)]
        by_width.append({name: np.mean([run[name] for run in runs]) for name in runs[0]})
    logs = {name: np.log([change[name] for change in by_width]) for name in by_width[0]}
    return {name: float(np.polyfit(np.log(WIDTHS), change, 1)[0]) for name, change in logs.items()}


def test_under_mup_a_step_changes_every_output_as_much_at_any_width_and_under_sp_it_does_not() -> None:
    every_tensor = {"pooling": "attention", "head_hidden": 0.5, "channel_attention": "separate"}
    under_mup, under_sp = (slopes(model.model_copy(update=every_tensor)) for model in (MUP, SP))
    assert all(slope < BOUND for slope in under_mup.values()), under_mup
    # The logits of attention may fall: the initial query and key are independent, their product is 1/sqrt(d_head).
    assert all(slope > (-0.5 if "logits" in name else -BOUND) for name, slope in under_mup.items()), under_mup
    beyond = {name for name, slope in under_sp.items() if abs(slope) >= BOUND}
    assert beyond == under_sp.keys() - {"embed"}  # its fan-in is the patch's length
    assert under_sp["head"] > 0.5


def test_at_the_base_shape_mup_is_sp_to_the_last_bit() -> None:
    base = Shape(BASE_WIDTH, LAYERS, BASE_WIDTH // BASE_HEAD_WIDTH, BASE_FFN)
    networks = [network_of(model, base) for model in (SP, MUP)]
    weights, same = (network.state_dict() for network in networks)
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    outputs = [network(torch.ones(2, 60, CHANNELS).cumsum(dim=1)) for network in networks]
    assert torch.equal(*outputs)
    (group,) = parameter_groups(networks[1], MUP, 0.01)
    assert (group["lr_multiplier"], group["weight_decay"]) == (1.0, 0.01)


def test_initial_values_follow_the_table() -> None:
    wide, base = Shape(512, LAYERS, 4, 4096), Shape(BASE_WIDTH, LAYERS, 4, BASE_FFN)
    ratio = {
        name: float(parameter.detach().std() / dict(network_of(MUP, base).named_parameters())[name].detach().std())
        for name, parameter in network_of(MUP, wide).named_parameters()
        if "norm" not in name and name != "head.bias"  # constants, and a single value
    }
    expected = dict.fromkeys(ratio, 1.0)
    for layer in range(LAYERS):
        for name in ("attention.qkv", "attention.out", "ffn_in"):
            expected[f"layers.{layer}.{name}.weight"] = math.sqrt(64 / 512)
        expected[f"layers.{layer}.ffn_out.weight"] = math.sqrt(256 / 4096)
    assert ratio == pytest.approx(expected, rel=0.15)


def test_only_hidden_weights_have_another_learning_rate_and_all_decay_alike() -> None:
    network = network_of(MUP, Shape(128, 1, 4, 1024))
    groups = parameter_groups(network, MUP, 0.01)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    multiplier = {names[id(parameter)]: group["lr_multiplier"] for group in groups for parameter in group["params"]}
    scaled = {"qkv": 1 / 2, "out": 1 / 2, "ffn_in": 1 / 2, "ffn_out": 1 / 4}
    assert multiplier == {
        name: scaled[name.split(".")[-2]] if name.startswith("layers") and name.endswith(".weight") and
        "norm" not in name else 1.0
        for name, _ in network.named_parameters()
    }  # fmt: skip
    assert {group["lr_multiplier"] * group["weight_decay"] for group in groups} == {0.01}


@pytest.mark.parametrize("n_heads", [2, 8])
def test_attention_kernel_and_torch_s_own_agree_under_mup(n_heads: int) -> None:
    network = network_of(MUP, Shape(128, 1, n_heads, 256)).double()
    attention, tokens_MD = network.layers[0].attention, torch.randn(18, 128, dtype=torch.float64)
    assert attention.scale == math.sqrt(BASE_HEAD_WIDTH) / (128 // n_heads)
    query, key, value = attention.qkv(tokens_MD).view(6, 3, 3, n_heads, -1).permute(2, 1, 3, 0, 4)  # token-major rows
    mixed_SHNd = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
    expected = attention.out(mixed_SHNd.permute(2, 0, 1, 3).reshape(-1, 128))
    ours = attention(tokens_MD, 6)
    torch.testing.assert_close(ours, expected)
    of_ours, of_expected = (torch.autograd.grad(out.square().sum(), attention.qkv.weight) for out in (ours, expected))
    torch.testing.assert_close(of_ours, of_expected)


def test_a_saved_mup_model_gives_transformers_and_sp_the_same_outputs(tmp_path: Path) -> None:
    shape = Shape(32, LAYERS, 2, 200)
    own, x_BLC = network_of(MUP, shape).eval(), torch.randn(4, 60, CHANNELS).cumsum(dim=1)
    save_pretrained(own, shape, CHANNELS, "classification", tmp_path)
    theirs = PatchTSTForClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(own(x_BLC), theirs(past_values=x_BLC).prediction_logits.squeeze(1), rtol=1e-5, atol=1e-5)
    again = load_pretrained(tmp_path)[0].eval()
    assert again.model.parametrization == "sp"
    torch.testing.assert_close(own(x_BLC), again(x_BLC), rtol=1e-5, atol=1e-5)
    unfolded = network_of(SP, shape).eval()
    unfolded.load_state_dict(own.state_dict())
    assert not torch.allclose(own(x_BLC), unfolded(x_BLC), rtol=1e-2)
