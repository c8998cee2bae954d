"""CPU kernels for very short sequences: the same mathematics, less memory traffic.

A window's sequence is 4 to 16 tokens long. At that length torch's softmax over the last dimension cannot
vectorise and costs more than the matrix products around it, and Dropout's Bernoulli draws one variate per
element. Measured in tests/bench/engine.py; other devices use torch's own kernels.

Shapes: S sequences, H heads, N tokens of a sequence, d width of a head, D = H*d, M = S*N tokens.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16  # a dropout rate is realised to the nearest 1/65536


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
