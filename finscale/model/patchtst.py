"""PatchTST: an encoder-only transformer over channel-independent patches.

Nie et al. (2023), "A time series is worth 64 words"; the same architecture as transformers'
PatchTSTForClassification with pre-norm, layer norm, learned positions and mean pooling.

Shapes: B batch, L context, C channels, N patches, P patch length, D d_model, H heads,
S = B*C sequences, M = S*N tokens. Tokens stay flat (M, D): every product is one large matmul.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finscale.model.budget import Counts, Shape
from finscale.model.config import ModelConfig

_VARIANCE_FLOOR = 1e-5  # as in transformers' PatchTSTStdScaler


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_heads = shape.n_heads
        self.qkv = nn.Linear(shape.d_model, 3 * shape.d_model)
        self.out = nn.Linear(shape.d_model, shape.d_model)

    def forward(self, tokens_MD: Tensor, n_patches: int) -> Tensor:
        width = tokens_MD.shape[1]
        head = width // self.n_heads
        qkv = self.qkv(tokens_MD).view(-1, n_patches, 3, self.n_heads, head)
        q_SHNd, k_SHNd, v_SHNd = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if tokens_MD.is_cpu:
            # A handful of tokens a sequence: batched matmul beats the CPU's fused kernel up to twofold.
            weights_SHNN = torch.softmax(q_SHNd @ k_SHNd.transpose(-1, -2) / math.sqrt(head), dim=-1)
            mixed_SHNd = weights_SHNN @ v_SHNd
        else:
            mixed_SHNd = F.scaled_dot_product_attention(q_SHNd, k_SHNd, v_SHNd)
        return self.out(mixed_SHNd.transpose(1, 2).reshape(-1, width))


class Layer(nn.Module):
    """Pre-norm transformer layer: attention and feed-forward, each added to the residual stream."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(shape.d_model)
        self.attention = Attention(shape)
        self.ffn_norm = nn.LayerNorm(shape.d_model)
        self.ffn_in = nn.Linear(shape.d_model, shape.ffn_dim)
        self.ffn_out = nn.Linear(shape.ffn_dim, shape.d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_MD: Tensor, n_patches: int) -> Tensor:
        tokens_MD = tokens_MD + self.dropout(self.attention(self.attention_norm(tokens_MD), n_patches))
        hidden_MF = F.gelu(self.ffn_in(self.ffn_norm(tokens_MD)))
        return tokens_MD + self.dropout(self.ffn_out(hidden_MF))


class PatchTST(nn.Module):
    """x (B, L, C) -> one logit or value per window (B,). No sigmoid: that is applied elsewhere, once."""

    def __init__(self, shape: Shape, model: ModelConfig, channels: int) -> None:
        super().__init__()
        self.model = model
        self.embed = nn.Linear(model.patch_length, shape.d_model)
        self.position_ND = nn.Parameter(torch.empty(model.num_patches, shape.d_model).normal_(std=0.02))
        self.layers = nn.ModuleList(Layer(shape, model.dropout) for _ in range(shape.n_layers))
        self.head = nn.Linear(channels * shape.d_model, 1)

    def forward(self, x_BLC: Tensor) -> Tensor:
        batch, _, channels = x_BLC.shape
        n_patches = self.model.num_patches
        patches_BCNP = patchify(instance_norm(x_BLC), self.model)
        tokens_MD = (self.embed(patches_BCNP) + self.position_ND).flatten(0, 2)
        for layer in self.layers:
            tokens_MD = layer(tokens_MD, n_patches)
        pooled_BCD = tokens_MD.view(batch, channels, n_patches, -1).mean(dim=2)
        return self.head(pooled_BCD.flatten(1)).squeeze(1)

    def counts(self) -> Counts:
        """Trainable parameters per group, counted on the module itself."""
        body = sum(p.numel() for p in self.layers.parameters())
        head = sum(p.numel() for p in self.head.parameters())
        total = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return Counts(embedding=total - body - head, body=body, head=head)


def instance_norm(x_BLC: Tensor) -> Tensor:
    """Each window's channels to zero mean and unit variance over time (Kim et al. 2022, RevIN)."""
    mean_B1C = x_BLC.mean(dim=1, keepdim=True)
    variance_B1C = x_BLC.var(dim=1, keepdim=True, unbiased=False)
    return (x_BLC - mean_B1C) / torch.sqrt(variance_B1C + _VARIANCE_FLOOR)


def patchify(x_BLC: Tensor, model: ModelConfig) -> Tensor:
    """Overlapping patches (B, C, N, P) that end on the newest day; the oldest rest is left out."""
    used = model.patch_length + model.patch_stride * (model.num_patches - 1)
    return x_BLC[:, -used:].transpose(1, 2).unfold(2, model.patch_length, model.patch_stride)
