"""Maximal-update parametrization: one learning rate for every width.

Yang, Hu et al. (2022), "Tensor Programs V: tuning large neural networks via zero-shot hyperparameter transfer",
arXiv 2203.03466, table 8 (the column for Adam) and section 4 for attention; the authors' package is microsoft/mup.
Under the standard parametrization (sp) an Adam step changes a layer's output by an amount that grows with its fan-in,
so that the best learning rate falls as the model grows. Here m = base fan-in / fan-in, per tensor, and

    tensor                          initial values          Adam's learning rate    in the forward pass
    hidden weights (qkv, out, ffn)  variance ~ 1/fan-in     m                       -
    head's hidden layer             variance ~ 1/fan-in     m                       -
    head's weights                  variance of the base    1                       head's input times m
    embeddings, positions, norms    as in sp                1                       -
    biases                          variance of the base    1                       -
    attention logits                                                                1/d_head, not 1/sqrt(d_head)
    query of attention pooling      0                       1                       logits by 1/d_model, not its root

The base is the shape at which all of it equals sp: d_model 64, feed-forward 256, four heads of 16. It is about what the
budget solver gives 100K parameters, and a constant, so that a learning rate means the same in every run.

Of the sizes that the solver changes together, three are widths: d_model is the fan-in of qkv, out, ffn_in and head;
ffn_dim that of ffn_out, which the solver does not keep at 4 d_model; and the head's width, d_model / n_heads, that of
the attention logits, which grows with d_model up to 256 and stays at 64 beyond it, where the number of heads grows.
The head's hidden layer is a multiple of d_model wide. Channels and patches are the data's, no width of the model: of
the fan-in of the head, channels times tokens times d_model, only d_model counts. Depth is not treated
(docs/hyperparameter_transfer.md).

Weight decay: torch's AdamW shrinks weights by lr * weight_decay a step. Where lr is scaled by m the decay is divided by
m, so that this product is that of the base: as microsoft/mup's MuAdamW does, and as Wang & Aitchison (2024), arXiv
2405.13698, find it needed for transfer over width.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from finscale.model.config import ModelConfig
from finscale.model.shape import Shape

BASE_WIDTH = 64
BASE_FFN = 4 * BASE_WIDTH
BASE_HEAD_WIDTH = 16
_INPUTS = ("embed", "embed_statistics")  # their fan-in is the patch, or two numbers: of any width the same


def attention_scale(shape: Shape, model: ModelConfig) -> float:
    """What attention multiplies its logits with: 1/sqrt(d_head), or under mup sqrt(base d_head) / d_head."""
    width = shape.d_model // shape.n_heads
    return 1 / math.sqrt(width) if model.parametrization == "sp" else math.sqrt(BASE_HEAD_WIDTH) / width


def readout_scale(shape: Shape, model: ModelConfig) -> float:
    """What the head's input is multiplied with."""
    return 1.0 if model.parametrization == "sp" else BASE_WIDTH / shape.d_model


def query_scale(shape: Shape, model: ModelConfig) -> float:
    """What the products of attention pooling's query with tokens are multiplied with."""
    root = math.sqrt(shape.d_model)
    return 1 / root if model.parametrization == "sp" else math.sqrt(BASE_WIDTH) / shape.d_model


def rescale_initial(network: nn.Module, shape: Shape) -> None:
    """Turn torch's initial values into mup's, in place and without drawing any.

    torch draws a Linear layer's weights and biases with a variance of 1 / (3 fan-in): right for hidden weights. The
    head's weights and all biases get the variance that they have at the base width.
    """
    with torch.no_grad():
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Linear) or name in _INPUTS:
                continue
            m = BASE_WIDTH / shape.d_model if name.startswith("head") else _base_over(layer.in_features, name)
            layer.bias.div_(math.sqrt(m))
            if name == "head":
                layer.weight.div_(math.sqrt(m))


def parameter_groups(network: nn.Module, model: ModelConfig, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW's groups of parameters, each with its `lr_multiplier` and weight decay; a single one under sp.

    Whoever sets the learning rate multiplies it with the group's multiplier.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        m = 1.0 if model.parametrization == "sp" else _learning_rate_multiplier(name, parameter, network)
        groups.setdefault(m, []).append(parameter)
    return [{"params": group, "lr_multiplier": m, "weight_decay": weight_decay / m} for m, group in groups.items()]


def folded(weights: dict[str, Tensor], shape: Shape, model: ModelConfig) -> dict[str, Tensor]:
    """A state dict that gives an sp network the same outputs: the multipliers go into query and head."""
    if model.parametrization == "sp":
        return weights
    query = attention_scale(shape, model) * math.sqrt(shape.d_model // shape.n_heads)
    made = {name: tensor.clone() for name, tensor in weights.items()}
    made["head.weight"] *= readout_scale(shape, model)
    for name, tensor in made.items():
        if ".qkv." in name:
            tensor[: shape.d_model] *= query
    return made


def _learning_rate_multiplier(name: str, parameter: Tensor, network: nn.Module) -> float:
    if name == "head_hidden.weight":
        return BASE_WIDTH / cast(nn.Linear, network.embed).out_features
    hidden = name.startswith("layers.") and parameter.ndim == 2
    return _base_over(parameter.shape[1], name) if hidden else 1.0


def _base_over(fan_in: int, name: str) -> float:
    return (BASE_FFN if ".ffn_out" in name else BASE_WIDTH) / fan_in
