"""The model against transformers' PatchTST, and the budget solver against exact counts."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PatchTSTConfig, PatchTSTForClassification, PatchTSTForRegression

from finscale.config import parse_budget
from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.model.kernels import attention, drop_add, linear
from finscale.model.patchtst import PatchTST, normalise, patchify
from finscale.model.shape import Shape, check_within_budget, count, flops_per_window, solve
from finscale.model.transformers_format import from_transformers, load_pretrained, save_pretrained, to_transformers

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.0)
BUDGETS = ("10K", "30K", "100K", "300K", "1M", "2M", "20M", "200M", "2B")


def reference(shape: Shape, model: ModelConfig, channels: int) -> PatchTSTForClassification:
    """Written out, not taken from transformers_format: the test must not lean on what it tests."""
    return PatchTSTForClassification(
        PatchTSTConfig(
            num_input_channels=channels, context_length=model.context_length, patch_length=model.patch_length,
            patch_stride=model.patch_stride, num_targets=1, d_model=shape.d_model, num_hidden_layers=shape.n_layers,
            num_attention_heads=shape.n_heads, ffn_dim=shape.ffn_dim, pre_norm=model.norm_position == "pre",
            norm_type=f"{model.norm}norm", pooling_type="mean", use_cls_token=False,
            scaling={"instance": "std", "none": None}[model.input_norm],
            positional_encoding_type="random" if model.positions == "learned" else "sincos",
            channel_attention={"none": False, "shared": True}[model.channel_attention],
        )
    )  # fmt: skip


VARIANTS = [MODEL.model_copy(update=dict(zip(("norm", "norm_position", "positions"), values, strict=True)))
            for values in product(("layer", "batch"), ("pre", "post"), ("learned", "sincos"))]  # fmt: skip
VARIANTS += [
    MODEL.model_copy(update={"input_norm": "none", "patch_length": 2, "patch_stride": 2}),
    MODEL.model_copy(update={"channel_attention": "shared"}),
    MODEL.model_copy(update={"channel_attention": "shared", "norm": "batch", "norm_position": "post"}),
]


def variant_name(model: ModelConfig) -> str:
    others = {key: value for key, value in model.model_dump().items() if value != getattr(MODEL, key)}
    others = {key: value for key, value in others.items() if key not in ("norm", "norm_position", "positions")}
    return "-".join([model.norm, model.norm_position, model.positions, *(f"{k}={v}" for k, v in others.items())])


@pytest.mark.parametrize(
    ("budget", "model"), [*((budget, MODEL) for budget in BUDGETS), *(("100K", model) for model in VARIANTS)]
)
def test_a_budget_is_met_by_exact_count_and_transformers_counts_the_same(budget: str, model: ModelConfig) -> None:
    wanted = parse_budget(budget)
    shape = solve(wanted, model, channels=20)
    with torch.device("meta"):
        own, theirs = PatchTST(shape, model, 20), reference(shape, model, 20)
    counts = own.counts()
    assert counts == count(shape, model, 20)
    assert abs(counts.total / wanted - 1) <= 0.005
    groups = {"embedding": 0, "body": 0, "head": 0}
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad:
            group = "head" if name.startswith("head") else "body" if ".layers." in name else "embedding"
            groups[group] += parameter.numel()
    assert groups == {"embedding": counts.embedding, "body": counts.body, "head": counts.head}


@settings(max_examples=25, deadline=None)
@given(st.integers(20_000, 50_000_000), st.sampled_from([20, 50, 100]), st.sampled_from([32, 60, 128]))
def test_any_budget_has_a_shape(budget: int, channels: int, context: int) -> None:
    model = MODEL.model_copy(update={"context_length": context})
    shape = solve(budget, model, channels)
    assert abs(count(shape, model, channels).total / budget - 1) <= 0.005
    assert shape.d_model % shape.n_heads == 0


def test_a_curve_over_budgets_grows_in_width_and_depth() -> None:
    shapes = [solve(parse_budget(budget), MODEL, 20) for budget in BUDGETS]
    assert [shape.d_model for shape in shapes] == sorted(shape.d_model for shape in shapes)
    assert [shape.n_layers for shape in shapes] == sorted(shape.n_layers for shape in shapes)


def test_a_budget_too_small_for_its_channels_is_refused() -> None:
    with pytest.raises(InputError, match="budget = 5K has no shape for 2000 channels"):
        solve(5_000, MODEL, 2000)


def test_a_mislabelled_model_is_refused() -> None:
    check_within_budget(101_900, 100_000)
    with pytest.raises(InputError, match="102,100 parameters, over 2 % away from its budget of 100,000"):
        check_within_budget(102_100, 100_000)


@pytest.mark.parametrize("pooling", ["mean", "flatten"])
def test_counts_and_flops_are_those_of_the_module(pooling: str) -> None:
    model = MODEL.model_copy(update={"pooling": pooling})
    shape = solve(100_000, model, 20)
    network = PatchTST(shape, model, 20).eval()
    assert network.counts() == count(shape, model, 20)
    with FlopCounterMode(display=False) as counter:  # meta: torch's own operations, which its counter knows
        network.to("meta")(torch.empty(3, 60, 20, device="meta"))
    assert counter.get_total_flops() == 3 * flops_per_window(shape, model, 20)


def example(channels: int = 5) -> torch.Tensor:
    return torch.randn(4, 60, channels).cumsum(dim=1) * 3 + 100


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("model", VARIANTS, ids=variant_name)
def test_outputs_and_gradients_equal_those_of_transformers(model: ModelConfig, training: bool) -> None:
    torch.manual_seed(0)
    shape = solve(30_000, model, 5)
    own, theirs = PatchTST(shape, model, 5).train(training), reference(shape, model, 5).train(training)
    own.load_state_dict(from_transformers(theirs.state_dict(), own, "classification"))
    x_BLC, weight_B = example(), torch.randn(4)
    ours, expected = own(x_BLC), theirs(past_values=x_BLC).prediction_logits.squeeze(1)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    (ours * weight_B).sum().backward()
    (expected * weight_B).sum().backward()
    gradients = to_transformers({name: p.grad for name, p in own.named_parameters()}, "classification", model.norm)
    assert gradients.keys() == {name for name, p in theirs.named_parameters() if p.requires_grad}
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("model", VARIANTS, ids=variant_name)
def test_a_saved_model_is_read_by_transformers_and_comes_back(model: ModelConfig, task: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape, x_BLC = solve(30_000, model, 5), example()
    own = PatchTST(shape, model, 5)
    own(x_BLC)  # batch norms get statistics of their own
    save_pretrained(own.eval(), shape, 5, task, tmp_path / "ours")
    kind = PatchTSTForClassification if task == "classification" else PatchTSTForRegression
    theirs, told = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(told.values())
    output = theirs.eval()(past_values=x_BLC)
    output = output.prediction_logits if task == "classification" else output.regression_outputs
    torch.testing.assert_close(own(x_BLC), output.squeeze(1), rtol=1e-5, atol=1e-5)

    theirs.save_pretrained(tmp_path / "theirs")
    again, again_shape = load_pretrained(tmp_path / "theirs")
    assert (again_shape, again.model) == (shape, model)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in own.state_dict().items())


def test_what_cannot_be_expressed_is_refused(tmp_path: Path) -> None:
    PatchTSTForClassification(PatchTSTConfig(num_input_channels=5, pooling_type="max")).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"config.json: pooling_type = 'max' cannot be loaded; needs 'mean'"):
        load_pretrained(tmp_path)
    flat = MODEL.model_copy(update={"pooling": "flatten"})
    with pytest.raises(InputError, match=r"train.model.pooling = flatten: transformers' .* has only mean"):
        save_pretrained(
            PatchTST(solve(30_000, flat, 5), flat, 5), solve(30_000, flat, 5), 5, "classification", tmp_path
        )


@pytest.mark.parametrize(("width_in", "width_out"), [(64, 244), (244, 64), (64, 64), (16, 1)])
def test_the_linear_kernel_is_torch_s(width_in: int, width_out: int) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(shape) for shape in ((1001, width_in), (width_out, width_in), (width_out,))]
    ours, theirs = ([tensor.clone().requires_grad_() for tensor in tensors] for _ in range(2))
    output, expected = linear(*ours), F.linear(*theirs)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
    weight = torch.randn_like(output)
    (output * weight).sum().backward()
    (expected * weight).sum().backward()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n_tokens", [1, 6, 40])
def test_the_attention_kernel_has_the_values_and_gradients_of_attention(n_tokens: int) -> None:
    torch.manual_seed(0)
    qkv, out = nn.Linear(8, 24).double(), nn.Linear(8, 8).double()
    x_NSD = torch.randn(n_tokens, 3, 8, dtype=torch.float64, requires_grad=True)
    query, key, value = qkv(x_NSD).view(n_tokens, 3, 3, 2, 4).permute(2, 1, 3, 0, 4)
    mixed_SHNd = F.scaled_dot_product_attention(query, key, value, scale=0.3)
    expected = out(mixed_SHNd.permute(2, 0, 1, 3).flatten(2)).flatten(0, 1)
    output = attention(x_NSD.flatten(0, 1), qkv, out, n_tokens, 2, 0.3)
    torch.testing.assert_close(output, expected)
    weight, inputs = torch.randn_like(output), [x_NSD, *qkv.parameters(), *out.parameters()]
    gradients, theirs = (torch.autograd.grad((of * weight).sum(), inputs) for of in (output, expected))
    for own, other in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_the_dropout_kernel_drops_at_its_rate_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    branch = torch.ones(1003, 999, requires_grad=True)
    total = drop_add(torch.zeros(1003, 999), branch, rate)
    dropped = (total == 0).float()
    assert float(dropped.mean()) == pytest.approx(rate, abs=2e-3)
    assert float(total.detach().mean()) == pytest.approx(1, abs=3e-3)
    assert abs(float(((dropped[1:] - rate) * (dropped[:-1] - rate)).mean())) < 5e-4  # neighbours are independent
    assert abs(float(((dropped[:, 1:] - rate) * (dropped[:, :-1] - rate)).mean())) < 5e-4
    total.sum().backward()
    assert torch.equal(branch.grad, total.detach())


def test_recomputing_activations_changes_no_gradient() -> None:
    model = MODEL.model_copy(update={"dropout": 0.2})
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = PatchTST(solve(30_000, model, 5), model, 5, recompute)
        network(example()).sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(torch.equal(plain, again) for plain, again in zip(*gradients, strict=True))


def test_instance_norm_takes_out_each_window_s_level_and_scale() -> None:
    x_BLC = torch.randn(2, 60, 3) * torch.tensor([1.0, 50.0, 0.1]) + torch.tensor([0.0, 1e3, -5.0])
    normed, _ = normalise(x_BLC, MODEL)
    torch.testing.assert_close(normed.mean(dim=1), torch.zeros(2, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(normed.std(dim=1, unbiased=False), torch.ones(2, 3), atol=1e-2, rtol=0)
    assert normalise(torch.full((1, 60, 1), 7.0), MODEL)[0].abs().max() == 0  # a flat window is zero, not NaN


def test_patches_end_on_the_newest_day() -> None:
    patches_BCNP = patchify(torch.arange(60.0).view(1, 60, 1), MODEL)
    assert patches_BCNP.shape == (1, 1, 6, 16)
    assert patches_BCNP[0, 0, -1].tolist() == list(range(44, 60))
    assert patches_BCNP[0, 0, 0, 0] == 4


def test_what_a_budget_costs_is_told_by_a_command() -> None:
    command = [sys.executable, "-m", "finscale.model.budget", "150K"]
    assert "budget      150K, 20 channels" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
