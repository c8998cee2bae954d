"""Options of the model in what is built on it: transformers' format and maximal-update parametrization."""

import pytest
import torch

from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.model.mup import BASE_FFN, BASE_HEAD_WIDTH, BASE_WIDTH, folded, parameter_groups
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.model.transformers_format import config_of
from tests.unit.test_model_options import BASE, CHANNELS, MODELS, SHAPE, every_option, network_of, windows


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"pooling": "last"}, r"train\.model\.pooling = last: transformers' PatchTSTForClassification has only mean"),
        ({"input_norm": "instance_stats"}, r"input_norm = instance_stats: .* has only instance and none"),
        ({"channel_attention": "separate"}, r"channel_attention = separate: .* has only none and shared"),
        ({"head_hidden": 0.5}, r"head_hidden = 0\.5: .* has only 0"),
        ({"clip": 5.0}, r"clip = 5\.0: .* has only None"),
    ],
)
def test_what_transformers_cannot_express_is_refused_by_name(option: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        config_of(SHAPE, BASE.model_copy(update=option), CHANNELS, "classification")


@every_option
def test_at_the_base_shape_mup_is_sp_with_every_option(model: ModelConfig) -> None:
    base = Shape(BASE_WIDTH, 1, BASE_WIDTH // BASE_HEAD_WIDTH, BASE_FFN)
    networks = [network_of(model.model_copy(update={"parametrization": name}), base) for name in ("sp", "mup")]
    assert torch.equal(*(network(windows()) for network in networks))
    (group,) = parameter_groups(networks[1], networks[1].model, 0.01)
    assert (group["lr_multiplier"], group["weight_decay"]) == (1.0, 0.01)


def test_mup_treats_the_head_s_hidden_layer_as_hidden_and_the_new_inputs_as_inputs() -> None:
    model = MODELS["all at once"].model_copy(update={"parametrization": "mup"})
    network = PatchTST(Shape(2 * BASE_WIDTH, 1, 4, BASE_FFN), model, CHANNELS)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = parameter_groups(network, model, 0.01)
    rate = {names[id(parameter)]: group["lr_multiplier"] for group in groups for parameter in group["params"]}
    assert {name for name, multiplier in rate.items() if multiplier == 0.5} == {
        "head_hidden.weight", "layers.0.attention.qkv.weight", "layers.0.attention.out.weight",
        "layers.0.channel_attention.qkv.weight", "layers.0.channel_attention.out.weight", "layers.0.ffn_in.weight",
    }  # fmt: skip
    assert set(rate.values()) == {0.5, 1.0}


def test_folding_mup_s_multipliers_changes_no_output_where_channels_share_the_attention() -> None:
    shape, model = Shape(32, 2, 2, 60), MODELS["channels, shared"].model_copy(update={"parametrization": "mup"})
    own = network_of(model, shape)
    plain = network_of(MODELS["channels, shared"], shape)
    plain.load_state_dict(folded(own.state_dict(), shape, model))
    torch.testing.assert_close(own(windows()), plain(windows()), rtol=1e-5, atol=1e-5)
