"""PatchTST: an encoder-only transformer over channel-independent patches.

Nie et al. (2023), "A time series is worth 64 words"; the same architecture as transformers'
PatchTSTForClassification and PatchTSTForRegression (finscale.model.transformers_format).

Shapes: B batch, L context, C channels, N patches, P patch length, D d_model, H heads,
S = B*C sequences, M = S*N tokens. Tokens stay flat (M, D): every product is one large matmul.
"""

import math
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from finscale.model.config import ModelConfig
from finscale.model.kernels import attention, drop_add, linear
from finscale.model.mup import attention_scale, readout_scale, rescale_initial
from finscale.model.shape import Counts, Shape

if _TRITON := torch.cuda.is_available() and find_spec("triton") is not None:
    from finscale.model.short_attention import LONGEST, WIDEST, short_attention

_VARIANCE_FLOOR = 1e-5  # as in transformers' PatchTSTStdScaler


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

    def forward(self, tokens_MD: Tensor, n_patches: int) -> Tensor:
        if _own_kernels(tokens_MD):
            return attention(tokens_MD, self.qkv, self.out, n_patches, self.n_heads, self.scale)
        width = tokens_MD.shape[1]
        if _TRITON and tokens_MD.is_cuda and n_patches <= LONGEST and width // self.n_heads <= WIDEST:
            return self.out(short_attention(self.qkv(tokens_MD), n_patches, self.n_heads, self.scale))
        qkv = self.qkv(tokens_MD).view(-1, n_patches, 3, self.n_heads, width // self.n_heads)
        q_SHNd, k_SHNd, v_SHNd = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if tokens_MD.is_cpu:  # being compiled: the compiler fuses plain operations
            weights_SHNN = torch.softmax(q_SHNd @ k_SHNd.transpose(-1, -2) * self.scale, dim=-1)
            mixed_SHNd = weights_SHNN @ v_SHNd
        else:
            mixed_SHNd = F.scaled_dot_product_attention(q_SHNd, k_SHNd, v_SHNd, scale=self.scale)
        return self.out(mixed_SHNd.transpose(1, 2).reshape(-1, width))


class Layer(nn.Module):
    """Transformer layer: attention and feed-forward, each added to the residual stream.

    The norm stands before each of the two (pre) or after each sum (post, as in Nie et al.).
    """

    def __init__(self, shape: Shape, model: ModelConfig) -> None:
        super().__init__()
        norm = nn.LayerNorm if model.norm == "layer" else nn.BatchNorm1d
        self.attention_norm = norm(shape.d_model)
        self.attention = Attention(shape, attention_scale(shape, model))
        self.ffn_norm = norm(shape.d_model)
        self.ffn_in = Linear(shape.d_model, shape.ffn_dim)
        self.ffn_out = Linear(shape.ffn_dim, shape.d_model)
        self.dropout = model.dropout
        self.pre_norm = model.norm_position == "pre"

    def forward(self, tokens_MD: Tensor, n_patches: int) -> Tensor:
        if self.pre_norm:
            tokens_MD = self._add(tokens_MD, self.attention(self.attention_norm(tokens_MD), n_patches))
            return self._add(tokens_MD, self._feed_forward(self.ffn_norm(tokens_MD)))
        tokens_MD = self.attention_norm(self._add(tokens_MD, self.attention(tokens_MD, n_patches)))
        return self.ffn_norm(self._add(tokens_MD, self._feed_forward(tokens_MD)))

    def _feed_forward(self, tokens_MD: Tensor) -> Tensor:
        return self.ffn_out(F.gelu(self.ffn_in(tokens_MD)))

    def _add(self, tokens_MD: Tensor, branch_MD: Tensor) -> Tensor:
        if not (self.training and self.dropout > 0):
            return tokens_MD + branch_MD
        if _own_kernels(tokens_MD):
            return drop_add(tokens_MD, branch_MD, self.dropout)
        return tokens_MD + F.dropout(branch_MD, self.dropout)


class PatchTST(nn.Module):
    """x (B, L, C) -> one logit or value per window (B,). No sigmoid: that is applied elsewhere, once.

    With `recompute`, layers keep only their input for the backward pass and run twice (Chen et al. 2016).
    """

    def __init__(self, shape: Shape, model: ModelConfig, channels: int, recompute: bool = False) -> None:
        super().__init__()
        self.model = model
        self.recompute = recompute
        self.embed = nn.Linear(model.patch_length, shape.d_model)
        if model.positions == "learned":
            self.position_ND = nn.Parameter(torch.empty(model.num_patches, shape.d_model).normal_(std=0.02))
        else:
            self.register_buffer("position_ND", sincos(model.num_patches, shape.d_model))
        self.layers = nn.ModuleList(Layer(shape, model) for _ in range(shape.n_layers))
        self.head = nn.Linear(channels * model.pooled_patches * shape.d_model, 1)
        self.readout_scale = readout_scale(shape, model)
        if model.parametrization == "mup":
            rescale_initial(self, shape)

    def forward(self, x_BLC: Tensor) -> Tensor:
        n_patches = self.model.num_patches
        patches_BCNP = patchify(instance_norm(x_BLC), self.model)
        by_place = _own_kernels(x_BLC)  # the order of tokens that those kernels work along: (N, B, C), not (B, C, N)
        if by_place:
            embedded = self.embed(patches_BCNP.permute(2, 0, 1, 3)) + self.position_ND[:, None, None]
        else:
            embedded = self.embed(patches_BCNP) + self.position_ND
        tokens_MD = embedded.flatten(0, 2)
        for layer in self.layers:
            if self.recompute and torch.is_grad_enabled():
                tokens_MD = checkpoint(layer, tokens_MD, n_patches, use_reentrant=False)
            else:
                tokens_MD = layer(tokens_MD, n_patches)
        tokens_BCND = tokens_MD.view_as(embedded).permute(1, 2, 0, 3) if by_place else tokens_MD.view_as(embedded)
        pooled = tokens_BCND if self.model.pooling == "flatten" else tokens_BCND.mean(dim=2)
        return self.head(pooled.flatten(1) * self.readout_scale).squeeze(1)

    def numbers_per_window(self, channels: int) -> int:
        """Elements of the widest tensor that one window is turned into on its way."""
        width = max([parameter.shape[0] for parameter in self.layers.parameters()], default=1)
        return channels * self.model.num_patches * width

    def counts(self) -> Counts:
        """Trainable parameters per group, counted on the module itself."""
        body = sum(p.numel() for p in self.layers.parameters())
        head = sum(p.numel() for p in self.head.parameters())
        total = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return Counts(embedding=total - body - head, body=body, head=head)


def _own_kernels(tokens: Tensor) -> bool:
    """Whether finscale.model.kernels runs: on CPUs, unless torch.compile fuses the operations itself."""
    return tokens.is_cpu and not torch.compiler.is_compiling()


def sincos(n_patches: int, width: int) -> Tensor:
    """Fixed positions (N, D) of Vaswani et al. (2017), centred and scaled as in transformers' PatchTST."""
    angle = torch.arange(n_patches)[:, None] * torch.exp(torch.arange(0, width, 2) * -(math.log(1e4) / width))
    position_ND = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
    position_ND = position_ND - position_ND.mean()
    return position_ND / (position_ND.std() * 10)


def instance_norm(x_BLC: Tensor) -> Tensor:
    """Each window's channels to zero mean and unit variance over time (Kim et al. 2022, RevIN)."""
    mean_B1C = x_BLC.mean(dim=1, keepdim=True)
    variance_B1C = x_BLC.var(dim=1, keepdim=True, unbiased=False)
    return (x_BLC - mean_B1C) / torch.sqrt(variance_B1C + _VARIANCE_FLOOR)


def patchify(x_BLC: Tensor, model: ModelConfig) -> Tensor:
    """Overlapping patches (B, C, N, P) that end on the newest day; the oldest rest is left out."""
    used = model.patch_length + model.patch_stride * (model.num_patches - 1)
    return x_BLC[:, -used:].transpose(1, 2).unfold(2, model.patch_length, model.patch_stride)
