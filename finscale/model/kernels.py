"""CPU kernels: the same mathematics as torch's, with faster products and less memory traffic.

A window's sequence is 4 to 16 tokens long. At that length torch's softmax over the last dimension cannot
vectorise and costs more than the matrix products around it, and Dropout's Bernoulli draws one variate per
element. And torch multiplies fp32 matrices with MKL, which on AMD processors takes its AVX2 path: oneDNN, which
torch carries too and uses for bf16, is twice as fast there (docs/performance.md). Other devices use torch's own.

Shapes: S sequences, H heads, N tokens of a sequence, d width of a head, D = H*d, M = S*N tokens, I and O the widths
of a linear layer's input and output.
"""

import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16  # a dropout rate is realised to the nearest 1/65536
_ONEDNN = platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()


class _Linear(Function):
    """x W^T + b by oneDNN, in fp32."""

    @staticmethod
    def forward(ctx: Any, x_MI: Tensor, weight_OI: Tensor, bias_O: Tensor) -> Tensor:
        ctx.save_for_backward(x_MI, weight_OI)
        return _product(x_MI, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_MO: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x_MI, weight_OI = ctx.saved_tensors
        grad_MI = _product(grad_MO, weight_OI.t()) if ctx.needs_input_grad[0] else None
        grad_OM, x_IM = grad_MO.t(), x_MI.t()
        # oneDNN splits the rows of its first factor among threads and caches: the narrower side goes there.
        wide = grad_OM.shape[0] > x_IM.shape[0]
        grad_OI = _product(x_IM, grad_OM).t().contiguous() if wide else _product(grad_OM, x_IM)
        return grad_MI, grad_OI, grad_MO.sum(0)


def _product(left_RK: Tensor, right_CK: Tensor, bias_C: Tensor | None = None) -> Tensor:
    """left right^T + bias."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left_RK, right_CK, bias_C, "none", [], "")
    return product


def linear(x_MI: Tensor, weight_OI: Tensor, bias_O: Tensor) -> Tensor:
    """torch's linear on the CPU; in fp32 on x86 by oneDNN."""
    if not _ONEDNN or x_MI.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return F.linear(x_MI, weight_OI, bias_O)
    product: Tensor = _Linear.apply(x_MI, weight_OI, bias_O)
    return product


class _ShortAttention(Function):
    """Softmax attention from fused projections (M, 3D) to mixed values (M, D)."""

    @staticmethod
    def forward(ctx: Any, qkv_M3D: Tensor, n_tokens: int, n_heads: int, scale: float) -> Tensor:
        width = qkv_M3D.shape[1] // 3
        head = width // n_heads
        split = qkv_M3D.view(-1, n_tokens, 3, n_heads, head).permute(2, 0, 3, 1, 4).contiguous()
        qkv = split.view(3, -1, n_tokens, head)  # one copy for all three, batch S*H
        query, key, value = qkv.unbind(0)
        scores = _scaled_product(query, key.transpose(1, 2), scale)
        weights = _tokens_last(torch.softmax(_tokens_first(scores), 0), n_tokens)
        ctx.save_for_backward(qkv, weights)
        ctx.n_heads, ctx.scale = n_heads, scale
        mixed = torch.bmm(weights, value).view(-1, n_heads, n_tokens, head)
        return mixed.transpose(1, 2).reshape(-1, width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_MD: Tensor) -> tuple[Tensor, None, None, None]:
        qkv, weights = ctx.saved_tensors
        query, key, value = qkv.unbind(0)
        _, n_tokens, head = query.shape
        grad_mixed = grad_MD.view(-1, n_tokens, ctx.n_heads, head).transpose(1, 2).reshape(-1, n_tokens, head)
        grad = torch.empty_like(qkv)
        torch.bmm(weights.transpose(1, 2), grad_mixed, out=grad[2])
        # Softmax's Jacobian: dS = W * (dW - sum(dW * W)), the sum over the keys.
        weights_first = _tokens_first(weights)
        grad_first = _tokens_first(torch.bmm(grad_mixed, value.transpose(1, 2))) * weights_first
        grad_first = torch.addcmul(grad_first, weights_first, grad_first.sum(0, keepdim=True), value=-1)
        grad_scores = _tokens_last(grad_first, n_tokens)
        grad[0] = _scaled_product(grad_scores, key, ctx.scale)
        grad[1] = _scaled_product(grad_scores.transpose(1, 2), query, ctx.scale)
        by_sequence = grad.view(3, -1, ctx.n_heads, n_tokens, head).permute(1, 3, 0, 2, 4)
        return by_sequence.reshape(-1, 3 * ctx.n_heads * head), None, None, None


def short_attention(qkv_M3D: Tensor, n_tokens: int, n_heads: int, scale: float) -> Tensor:
    """Attention within each run of `n_tokens` rows; query, key and value stand side by side in a row."""
    mixed: Tensor = _ShortAttention.apply(qkv_M3D, n_tokens, n_heads, scale)
    return mixed


def _scaled_product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    return torch.baddbmm(left.new_empty(1, 1, 1), left, right, beta=0, alpha=scale)


def _tokens_first(scores_SNN: Tensor) -> Tensor:
    """(S*H, N, N) -> (N keys, S*H*N): reductions over keys become whole-vector operations."""
    return scores_SNN.view(-1, scores_SNN.shape[-1]).t().contiguous()


def _tokens_last(scores_first: Tensor, n_tokens: int) -> Tensor:
    return scores_first.t().contiguous().view(-1, n_tokens, n_tokens)


class _DropAdd(Function):
    """residual + mask * branch, with a scaled mask of 16-bit draws, four to a generator step."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, branch: Tensor, rate: float) -> Tensor:
        dropped = round(rate * _LEVELS)
        draws = torch.empty(-(-branch.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        mask = torch.empty(branch.shape, dtype=branch.dtype)
        torch.ge(draws[: branch.numel()].view(branch.shape), dropped - _LEVELS // 2, out=mask)
        mask *= _LEVELS / (_LEVELS - dropped)
        ctx.save_for_backward(mask)
        return residual + branch * mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        (mask,) = ctx.saved_tensors
        return grad, grad.to(mask.dtype) * mask, None


def drop_add(residual: Tensor, branch: Tensor, rate: float) -> Tensor:
    """residual + dropout(branch), drawn from torch's default generator; 0 < rate < 1."""
    total: Tensor = _DropAdd.apply(residual, branch, rate)
    return total
