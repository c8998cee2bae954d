"""PatchTST: an encoder-only transformer over channel-independent patches.

Nie et al. (2023), "A time series is worth 64 words"; the same architecture as transformers'
PatchTSTForClassification and PatchTSTForRegression (finscale.model.transformers_format), and options beyond it
(finscale.model.config).

Shapes: B batch, L context, C channels, N tokens of a channel (its patches, and before them its statistics where they
are given), P patch length, D d_model, H heads, S sequences, T tokens of a sequence, M = B*C*N tokens. Tokens stay flat
(M, D): every product is one large matmul. Attention over patches sees S = B*C sequences of T = N tokens, attention over
channels S = B*N of T = C.
"""

import math
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from finscale.model.config import ModelConfig
from finscale.model.kernels import LONGEST_SEQUENCE, attention, drop_add, linear
from finscale.model.mup import attention_scale, query_scale, readout_scale, rescale_initial
from finscale.model.shape import Counts, Shape, hidden_units

if _TRITON := torch.cuda.is_available() and find_spec("triton") is not None:
    from finscale.model.short_attention import LONGEST, WIDEST, short_attention

_VARIANCE_FLOOR = 1e-5  # as in transformers' PatchTSTStdScaler
_HEAD = ("head.", "head_hidden.", "query_D")  # parameters that are counted as the head's


class Linear(nn.Linear):
    """A linear layer over flat tokens (M, I) -> (M, O)."""

    def forward(self, tokens_MI: Tensor) -> Tensor:
        if _own_kernels(tokens_MI):
            return linear(tokens_MI, self.weight, self.bias)
        return super().forward(tokens_MI)


class Attention(nn.Module):
    def __init__(self, shape: Shape, scale: float) -> None:
        super().__init__()
        self.n_heads = shape.n_heads
        self.scale = scale
        self.qkv = Linear(shape.d_model, 3 * shape.d_model)
        self.out = Linear(shape.d_model, shape.d_model)

    def forward(self, tokens_MD: Tensor, n_tokens: int) -> Tensor:
        """Within each sequence of `n_tokens`: rows lie by token where _own_kernels, else by sequence."""
        by_place = _own_kernels(tokens_MD)
        if by_place and n_tokens <= LONGEST_SEQUENCE:
            return attention(tokens_MD, self.qkv, self.out, n_tokens, self.n_heads, self.scale)
        width, qkv = tokens_MD.shape[1], self.qkv(tokens_MD)
        if _TRITON and tokens_MD.is_cuda and n_tokens <= LONGEST and width // self.n_heads <= WIDEST:
            return self.out(short_attention(qkv, n_tokens, self.n_heads, self.scale))
        rows = (n_tokens, -1) if by_place else (-1, n_tokens)
        qkv = qkv.view(*rows, 3, self.n_heads, width // self.n_heads)
        q_SHTd, k_SHTd, v_SHTd = qkv.permute((2, 1, 3, 0, 4) if by_place else (2, 0, 3, 1, 4)).unbind(0)
        if tokens_MD.is_cpu and not by_place:  # being compiled: the compiler fuses plain operations
            weights_SHTT = torch.softmax(q_SHTd @ k_SHTd.transpose(-1, -2) * self.scale, dim=-1)
            mixed_SHTd = weights_SHTT @ v_SHTd
        else:
            mixed_SHTd = F.scaled_dot_product_attention(q_SHTd, k_SHTd, v_SHTd, scale=self.scale)
        back = mixed_SHTd.permute(2, 0, 1, 3) if by_place else mixed_SHTd.transpose(1, 2)
        return self.out(back.reshape(-1, width))


class Layer(nn.Module):
    """Transformer layer: attention over patches, over channels where `mixes`, and feed-forward.

    Each is added to the residual stream; a norm stands before it (pre) or after the sum (post, as in Nie et al.).
    """

    def __init__(self, shape: Shape, model: ModelConfig, mixes: bool = False) -> None:
        super().__init__()
        norm = nn.LayerNorm if model.norm == "layer" else nn.BatchNorm1d
        scale = attention_scale(shape, model)
        self.attention_norm = norm(shape.d_model)
        self.attention = Attention(shape, scale)
        self.mixes = mixes
        self.shares_attention = model.channel_attention == "shared"
        if mixes:
            self.channel_norm = norm(shape.d_model)
            if not self.shares_attention:
                self.channel_attention = Attention(shape, scale)
        self.ffn_norm = norm(shape.d_model)
        self.ffn_in = Linear(shape.d_model, shape.ffn_dim)
        self.ffn_out = Linear(shape.ffn_dim, shape.d_model)
        self.dropout = model.dropout
        self.pre_norm = model.norm_position == "pre"

    def forward(self, tokens_MD: Tensor, n_tokens: int, channels: int) -> Tensor:
        tokens_MD = self._add(tokens_MD, lambda x_MD: self.attention(x_MD, n_tokens), self.attention_norm)
        if self.mixes:
            attend = self.attention if self.shares_attention else self.channel_attention
            tokens_MD = _by_channel(tokens_MD, n_tokens, channels)
            tokens_MD = self._add(tokens_MD, lambda x_MD: attend(x_MD, channels), self.channel_norm)
            tokens_MD = _by_channel(tokens_MD, channels, n_tokens)  # the same exchange of two axes leads back
        return self._add(tokens_MD, self._feed_forward, self.ffn_norm)

    def _feed_forward(self, tokens_MD: Tensor) -> Tensor:
        return self.ffn_out(F.gelu(self.ffn_in(tokens_MD)))

    def _add(self, tokens_MD: Tensor, branch: Callable[[Tensor], Tensor], norm: nn.Module) -> Tensor:
        if self.pre_norm:
            return self._dropped_sum(tokens_MD, branch(norm(tokens_MD)))
        normed: Tensor = norm(self._dropped_sum(tokens_MD, branch(tokens_MD)))
        return normed

    def _dropped_sum(self, tokens_MD: Tensor, branch_MD: Tensor) -> Tensor:
        if not (self.training and self.dropout > 0):
            return tokens_MD + branch_MD
        if _own_kernels(tokens_MD):
            return drop_add(tokens_MD, branch_MD, self.dropout)
        return tokens_MD + F.dropout(branch_MD, self.dropout)


def _by_channel(tokens_MD: Tensor, n_tokens: int, channels: int) -> Tensor:
    """Rows for attention over the other axis: (N, B, C) becomes (C, B, N), and (B, C, N) becomes (B, N, C)."""
    if _own_kernels(tokens_MD):
        return tokens_MD.unflatten(0, (n_tokens, -1, channels)).transpose(0, 2).flatten(0, 2)
    return tokens_MD.unflatten(0, (-1, channels, n_tokens)).transpose(1, 2).flatten(0, 2)


class PatchTST(nn.Module):
    """x (B, L, C) -> one logit or value per window (B,). No sigmoid: that is applied elsewhere, once.

    With `recompute`, layers keep only their input for the backward pass and run twice (Chen et al. 2016).
    """

    def __init__(self, shape: Shape, model: ModelConfig, channels: int, recompute: bool = False) -> None:
        super().__init__()
        self.model = model
        self.n_heads = shape.n_heads
        self.recompute = recompute
        self.embed = nn.Linear(model.patch_length, shape.d_model)
        if model.input_norm == "instance_stats":
            self.embed_statistics = nn.Linear(2, shape.d_model)
        if model.positions == "learned":
            self.position_ND = nn.Parameter(torch.empty(model.num_patches, shape.d_model).normal_(std=0.02))
        else:
            self.register_buffer("position_ND", sincos(model.num_patches, shape.d_model))
        self.layers = nn.ModuleList(
            Layer(shape, model, model.attends_over_channels(layer, shape.n_layers)) for layer in range(shape.n_layers)
        )
        if model.pooling == "attention":
            self.query_D = nn.Parameter(torch.zeros(shape.d_model))  # begins as the mean
            self.query_scale = query_scale(shape, model)
        pooled, hidden = channels * model.pooled_tokens * shape.d_model, hidden_units(shape, model)
        if hidden:
            self.head_hidden = Linear(pooled, hidden)
        self.head = nn.Linear(hidden or pooled, 1)
        self.readout_scale = readout_scale(shape, model)
        if model.parametrization == "mup":
            rescale_initial(self, shape)

    def forward(self, x_BLC: Tensor) -> Tensor:
        pooled = self._pool(self.encode(*normalise(x_BLC, self.model))).flatten(1)
        if self.model.head_hidden:
            pooled = F.gelu(self.head_hidden(pooled))
        return self.head(pooled * self.readout_scale).squeeze(1)

    def encode(self, normed_BLC: Tensor, statistics_BC2: Tensor | None) -> Tensor:
        """The tokens (B, C, N, D) that the last layer leaves. normed_BLC, statistics_BC2: as of normalise."""
        n_tokens, channels = self.model.num_tokens, normed_BLC.shape[2]
        by_place = _own_kernels(normed_BLC)  # the order of tokens those kernels work along: (N, B, C), not (B, C, N)
        embedded = self._embed(normed_BLC, statistics_BC2, by_place)
        tokens_MD = embedded.flatten(0, 2)
        for layer in self.layers:
            if self.recompute and torch.is_grad_enabled():
                tokens_MD = checkpoint(layer, tokens_MD, n_tokens, channels, use_reentrant=False)
            else:
                tokens_MD = layer(tokens_MD, n_tokens, channels)
        return tokens_MD.view_as(embedded).permute(1, 2, 0, 3) if by_place else tokens_MD.view_as(embedded)

    def _embed(self, normed_BLC: Tensor, statistics_BC2: Tensor | None, by_place: bool) -> Tensor:
        """The tokens (N, B, C, D), or (B, C, N, D), as the layers get them."""
        patches_BCNP = patchify(normed_BLC, self.model)
        if by_place:
            embedded = self.embed(patches_BCNP.permute(2, 0, 1, 3)) + self.position_ND[:, None, None]
        else:
            embedded = self.embed(patches_BCNP) + self.position_ND
        if statistics_BC2 is None:
            return embedded
        place = 0 if by_place else 2
        return torch.cat([self.embed_statistics(statistics_BC2).unsqueeze(place), embedded], place)

    def _pool(self, tokens_BCND: Tensor) -> Tensor:
        """(B, C, D), or all tokens where pooling is flatten."""
        if self.model.pooling == "mean":
            return tokens_BCND.mean(dim=2)
        if self.model.pooling == "last":
            return tokens_BCND[:, :, -1]
        if self.model.pooling == "attention":
            score_BCN1 = F.linear(tokens_BCND, self.query_D[None]) * self.query_scale
            return (score_BCN1.softmax(2).transpose(2, 3) @ tokens_BCND).squeeze(2)
        return tokens_BCND

    def numbers_per_window(self, channels: int) -> int:
        """Elements of the widest tensor that one window is turned into on its way."""
        width = max([parameter.shape[0] for parameter in self.layers.parameters()], default=1)
        if self.model.channel_attention != "none":  # its weights: a row of `channels` for each token and head
            width = max(width, self.n_heads * channels)
        return channels * self.model.num_tokens * width

    def counts(self) -> Counts:
        """Trainable parameters per group, counted on the module itself."""
        groups = {"embedding": 0, "body": 0, "head": 0}
        for name, parameter in self.named_parameters():
            group = "body" if name.startswith("layers.") else "head" if name.startswith(_HEAD) else "embedding"
            groups[group] += parameter.numel()
        return Counts(**groups)


def _own_kernels(tokens: Tensor) -> bool:
    """Whether finscale.model.kernels runs: on CPUs, unless torch.compile fuses the operations itself."""
    return tokens.is_cpu and not torch.compiler.is_compiling()


def sincos(n_patches: int, width: int) -> Tensor:
    """Fixed positions (N, D) of Vaswani et al. (2017), centred and scaled as in transformers' PatchTST."""
    angle = torch.arange(n_patches)[:, None] * torch.exp(torch.arange(0, width, 2) * -(math.log(1e4) / width))
    position_ND = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
    position_ND = position_ND - position_ND.mean()
    return position_ND / (position_ND.std() * 10)


def normalise(x_BLC: Tensor, model: ModelConfig) -> tuple[Tensor, Tensor | None]:
    """A window as the patches are cut from it, and each channel's statistics (B, C, 2) where the model is given them.

    Statistics are the mean and the log of the standard deviation over the window, in units of the training rows.
    """
    normed_BLC, statistics_BC2 = x_BLC, None
    if model.input_norm != "none":
        mean_B1C, deviation_B1C = window_statistics(x_BLC)
        normed_BLC = (x_BLC - mean_B1C) / deviation_B1C
        if model.input_norm == "instance_stats":
            statistics_BC2 = torch.stack([mean_B1C.squeeze(1), deviation_B1C.squeeze(1).log()], dim=2)
    if model.clip is None:
        return normed_BLC, statistics_BC2
    clipped_BLC = normed_BLC.clamp(-model.clip, model.clip)
    return clipped_BLC, None if statistics_BC2 is None else statistics_BC2.clamp(-model.clip, model.clip)


def window_statistics(x_BLC: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each window's channels over time, both (B, 1, C)."""
    mean_B1C = x_BLC.mean(dim=1, keepdim=True)
    variance_B1C = x_BLC.var(dim=1, keepdim=True, unbiased=False)
    return mean_B1C, torch.sqrt(variance_B1C + _VARIANCE_FLOOR)


def patchify(x_BLC: Tensor, model: ModelConfig) -> Tensor:
    """Overlapping patches (B, C, N, P) that end on the newest day; the oldest rest is left out."""
    used = model.patch_length + model.patch_stride * (model.num_patches - 1)
    return x_BLC[:, -used:].transpose(1, 2).unfold(2, model.patch_length, model.patch_stride)
