"""The model against transformers' PatchTST, and the budget solver against exact counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PatchTSTConfig, PatchTSTForClassification

from finscale.config import parse_budget
from finscale.errors import InputError
from finscale.model.budget import Shape, check_within_budget, count, flops_per_window, solve
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST, instance_norm, patchify

MODEL = ModelConfig(context_length=60, patch_length=16, patch_stride=8, dropout=0.0)
BUDGETS = ("10K", "30K", "100K", "300K", "1M", "2M", "20M", "200M", "2B")


def reference(shape: Shape, model: ModelConfig, channels: int) -> PatchTSTForClassification:
    return PatchTSTForClassification(
        PatchTSTConfig(
            num_input_channels=channels, context_length=model.context_length, patch_length=model.patch_length,
            patch_stride=model.patch_stride, num_targets=1, d_model=shape.d_model, num_hidden_layers=shape.n_layers,
            num_attention_heads=shape.n_heads, ffn_dim=shape.ffn_dim, pre_norm=True, norm_type="layernorm",
            pooling_type="mean", use_cls_token=False, scaling="std", positional_encoding_type="random",
            channel_attention=False,
        )
    )  # fmt: skip


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_is_met_by_exact_count_and_transformers_counts_the_same(budget: str) -> None:
    wanted = parse_budget(budget)
    shape = solve(wanted, MODEL, channels=20)
    with torch.device("meta"):
        own, theirs = PatchTST(shape, MODEL, 20), reference(shape, MODEL, 20)
    counts = own.counts()
    assert counts == count(shape, MODEL, 20)
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


def test_flops_are_those_of_the_matrix_products() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    shape = solve(100_000, MODEL, 20)
    network = PatchTST(shape, MODEL, 20).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(3, 60, 20))
    assert counter.get_total_flops() == 3 * flops_per_window(shape, MODEL, 20)


def test_outputs_and_gradients_equal_those_of_transformers() -> None:
    torch.manual_seed(0)
    shape = solve(30_000, MODEL, 5)
    own, theirs = PatchTST(shape, MODEL, 5).eval(), reference(shape, MODEL, 5).eval()
    copy_weights(own, theirs)
    x_BLC = torch.randn(4, 60, 5).cumsum(dim=1) * 3 + 100
    ours, expected = own(x_BLC), theirs(past_values=x_BLC).prediction_logits.squeeze(1)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    ours.sum().backward()
    expected.sum().backward()
    patch_weight = theirs.model.encoder.embedder.input_embedding.weight.grad
    torch.testing.assert_close(own.embed.weight.grad, patch_weight, rtol=1e-4, atol=1e-5)


def copy_weights(own: PatchTST, theirs: PatchTSTForClassification) -> None:
    encoder = theirs.model.encoder
    own.embed.load_state_dict(encoder.embedder.input_embedding.state_dict())
    own.position_ND.data.copy_(encoder.positional_encoder.position_enc)
    own.head.load_state_dict(theirs.head.linear.state_dict())
    for mine, other in zip(own.layers, encoder.layers, strict=True):
        attention = other.self_attn
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        mine.attention.qkv.weight.data.copy_(torch.cat([p.weight for p in projections]))
        mine.attention.qkv.bias.data.copy_(torch.cat([p.bias for p in projections]))
        mine.attention.out.load_state_dict(attention.out_proj.state_dict())
        mine.attention_norm.load_state_dict(other.norm_sublayer1.state_dict())
        mine.ffn_norm.load_state_dict(other.norm_sublayer3.state_dict())
        mine.ffn_in.load_state_dict(other.ff[0].state_dict())
        mine.ffn_out.load_state_dict(other.ff[3].state_dict())


def test_instance_norm_takes_out_each_window_s_level_and_scale() -> None:
    x_BLC = torch.randn(2, 60, 3) * torch.tensor([1.0, 50.0, 0.1]) + torch.tensor([0.0, 1e3, -5.0])
    normed = instance_norm(x_BLC)
    torch.testing.assert_close(normed.mean(dim=1), torch.zeros(2, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(normed.std(dim=1, unbiased=False), torch.ones(2, 3), atol=1e-2, rtol=0)
    assert instance_norm(torch.full((1, 60, 1), 7.0)).abs().max() == 0  # a flat window is zero, not NaN


def test_patches_end_on_the_newest_day() -> None:
    patches_BCNP = patchify(torch.arange(60.0).view(1, 60, 1), MODEL)
    assert patches_BCNP.shape == (1, 1, 6, 16)
    assert patches_BCNP[0, 0, -1].tolist() == list(range(44, 60))
    assert patches_BCNP[0, 0, 0, 0] == 4
