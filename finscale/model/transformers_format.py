"""Our weights as transformers' PatchTSTForClassification or ForRegression, and back.

A folder with config.json and model.safetensors, as `from_pretrained` and `save_pretrained` use it. The mapping
is by name and needs no transformers at run time; tests/unit/test_model.py holds outputs and gradients equal.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from finscale.errors import InputError
from finscale.model.config import ModelConfig
from finscale.model.mup import folded
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.storage import read_json, write_atomically, write_json

Task = Literal["classification", "regression"]

_ARCHITECTURES = {"classification": "PatchTSTForClassification", "regression": "PatchTSTForRegression"}
_HEADS = {"classification": "head.linear", "regression": "head.projection"}
_ENCODER = "model.encoder"
_NORMS = {"layer": "layernorm", "batch": "batchnorm"}
_POSITIONS = {"learned": "random", "sincos": "sincos"}
_SCALING = {"instance": "std", "none": None}
_MIXING = {"none": False, "shared": True}
# What this model can vary beside those and transformers cannot: setting, and the value that both have.
_OURS_ALONE: dict[str, Any] = {"pooling": "mean", "head_hidden": 0, "clip": None, "channel_every": 1}
# What transformers can vary and this model holds fixed. A key that config.json leaves out has the default.
_FIXED: dict[str, tuple[Any, Any]] = {  # key: (what we need, transformers' default)
    "share_embedding": (True, True), "pooling_type": ("mean", "mean"), "use_cls_token": (False, False),
    "num_targets": (1, 1), "bias": (True, True),
    "activation_function": ("gelu", "gelu"), "norm_eps": (1e-5, 1e-5), "attention_dropout": (0.0, 0.0),
    "positional_dropout": (0.0, 0.0), "ff_dropout": (0.0, 0.0), "head_dropout": (0.0, 0.0),
    "output_range": (None, None),
}  # fmt: skip


def config_of(shape: Shape, model: ModelConfig, channels: int, task: Task) -> dict[str, Any]:
    """transformers' configuration of the same model. Raises InputError naming the setting that it lacks."""
    shared: dict[str, tuple[Any, ...]] = {key: (value,) for key, value in _OURS_ALONE.items()}
    shared |= {"input_norm": tuple(_SCALING), "channel_attention": tuple(_MIXING)}
    for key, values in shared.items():
        if (set_to := getattr(model, key)) not in values:
            raise InputError(
                f"train.model.{key} = {set_to}: transformers' {_ARCHITECTURES[task]} has only "
                f"{' and '.join(map(str, values))}"
            )
    return {
        "model_type": "patchtst",
        "architectures": [_ARCHITECTURES[task]],
        "num_input_channels": channels,
        "context_length": model.context_length,
        "patch_length": model.patch_length,
        "patch_stride": model.patch_stride,
        "d_model": shape.d_model,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "ffn_dim": shape.ffn_dim,
        "pre_norm": model.norm_position == "pre",
        "norm_type": _NORMS[model.norm],
        "positional_encoding_type": _POSITIONS[model.positions],
        "scaling": _SCALING[model.input_norm],
        "channel_attention": _MIXING[model.channel_attention],
        "path_dropout": model.dropout,
        "loss": "mse",
        **{key: wanted for key, (wanted, _) in _FIXED.items()},
    }


def to_transformers(weights: dict[str, Tensor], task: Task, norm: str) -> dict[str, Tensor]:
    """A PatchTST's state dict (or gradients) under transformers' names; fused projections are taken apart."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        names = _rename(name, task, norm)
        parts = tensor.chunk(len(names)) if len(names) > 1 else (tensor,)
        renamed |= {theirs: part.contiguous() for theirs, part in zip(names, parts, strict=True)}
    return renamed


def from_transformers(theirs: dict[str, Tensor], network: PatchTST, task: Task) -> dict[str, Tensor]:
    """The state dict of `network` with transformers' values. Raises InputError where a tensor is missing."""
    weights: dict[str, Tensor] = {}
    for name in network.state_dict():
        sources = _rename(name, task, network.model.norm)
        absent = [source for source in sources if source not in theirs]
        if absent:
            raise InputError(f"the transformers model has no tensor {absent[0]}: is it a {_ARCHITECTURES[task]}?")
        weights[name] = torch.cat([theirs[source] for source in sources]) if len(sources) > 1 else theirs[sources[0]]
    return weights


def save_pretrained(network: PatchTST, shape: Shape, channels: int, task: Task, folder: Path) -> None:
    """Write config.json and model.safetensors, ready for `from_pretrained(folder)`.

    transformers knows no parametrization: multipliers of mup are folded into the weights, which changes no output.
    """
    config = config_of(shape, network.model, channels, task)
    weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    tensors = to_transformers(folded(weights, shape, network.model), task, network.model.norm)
    write_atomically(
        folder / "model.safetensors", lambda temporary: save_file(tensors, temporary, metadata={"format": "pt"})
    )
    write_json(folder / "config.json", config)


def load_pretrained(folder: Path) -> tuple[PatchTST, Shape]:
    """Our model from a folder that `save_pretrained` wrote, ours or transformers' own.

    Raises InputError naming the setting where the model is one that this architecture cannot express.
    """
    config = read_json(folder / "config.json")
    task = _task_of(config, folder)
    shape = Shape(config["d_model"], config["num_hidden_layers"], config["num_attention_heads"], config["ffn_dim"])
    model = ModelConfig(
        context_length=config["context_length"],
        patch_length=config["patch_length"],
        patch_stride=config["patch_stride"],
        dropout=config.get("path_dropout", 0.0),
        norm=_key_of(_NORMS, config.get("norm_type", "batchnorm")),
        norm_position="pre" if config.get("pre_norm", True) else "post",
        positions=_key_of(_POSITIONS, config.get("positional_encoding_type", "sincos")),
        input_norm=_key_of(_SCALING, _scaling_of(config, folder)),
        channel_attention=_key_of(_MIXING, config.get("channel_attention", False)),
    )
    network = PatchTST(shape, model, config["num_input_channels"])
    network.load_state_dict(from_transformers(load_file(folder / "model.safetensors"), network, task))
    return network, shape


def _task_of(config: dict[str, Any], folder: Path) -> Task:
    for key, (wanted, default) in _FIXED.items():
        if config.get(key, default) != wanted:
            raise InputError(f"{folder / 'config.json'}: {key} = {config[key]!r} cannot be loaded; needs {wanted!r}")
    architecture = (config.get("architectures") or ["none"])[0]
    if architecture == _ARCHITECTURES["regression"] and config.get("loss", "mse") != "mse":
        raise InputError(f"{folder / 'config.json'}: loss = {config['loss']!r} cannot be loaded; needs 'mse'")
    if architecture == _ARCHITECTURES["classification"]:
        return "classification"
    if architecture == _ARCHITECTURES["regression"]:
        return "regression"
    raise InputError(f"{folder / 'config.json'}: {architecture} is not one of {', '.join(_ARCHITECTURES.values())}")


def _scaling_of(config: dict[str, Any], folder: Path) -> str | None:
    scaling = config.get("scaling", "std")
    if scaling not in ("std", None, False):
        raise InputError(f"{folder / 'config.json'}: scaling = {scaling!r} cannot be loaded; needs 'std' or None")
    return scaling or None


def _key_of(names: Mapping[str, Any], value: Any) -> Any:
    return next(key for key, name in names.items() if name == value)


def _rename(name: str, task: Task, norm: str) -> list[str]:
    """transformers' name of one of our tensors; three names for a fused projection."""
    if name.startswith("embed."):
        return [name.replace("embed.", f"{_ENCODER}.embedder.input_embedding.")]
    if name == "position_ND":
        return [f"{_ENCODER}.positional_encoder.position_enc"]
    if name.startswith("head."):
        return [name.replace("head.", f"{_HEADS[task]}.")]
    inner = ".batchnorm." if norm == "batch" else "."  # transformers wraps batch norm in a module of its own
    for ours, theirs in (
        (".attention.", ".self_attn."),
        (".out.", ".out_proj."),
        (".attention_norm.", f".norm_sublayer1{inner}"),
        (".channel_norm.", f".norm_sublayer2{inner}"),
        (".ffn_norm.", f".norm_sublayer3{inner}"),
        (".ffn_in.", ".ff.0."),
        (".ffn_out.", ".ff.3."),
    ):
        name = name.replace(ours, theirs)
    return [f"{_ENCODER}.{name.replace('.qkv.', f'.{letter}_proj.')}" for letter in ("qkv" if ".qkv." in name else "q")]
