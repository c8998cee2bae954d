"""CPU kernels: the same mathematics as torch's, with faster products and less memory traffic.

A window's sequence is 4 to 16 tokens long, unless patches are small or channels attend to each other. At that length
attention is all overhead: of matrix routines that multiply 6 x 6 numbers at a time, and of a softmax that cannot
vectorise. Dropout's Bernoulli draws one variate per element. And torch multiplies fp32 matrices with MKL, which on AMD
processors takes its AVX2 path: oneDNN, which torch carries too and uses for bf16, is twice as fast there
(docs/performance.md). Other devices, and sequences over LONGEST_SEQUENCE tokens, use torch's own.

Shapes: S sequences, H heads, N tokens of a sequence, d width of a head, D = H*d, M = S*N tokens, I and O the widths
of a linear layer's input and output.
"""

import platform
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

LONGEST_SEQUENCE = 24  # tokens of a sequence up to which `attention` is faster than torch's, at widths from 64 on
_LEVELS = 1 << 16  # a dropout rate is realised to the nearest 1/65536
HAS_ONEDNN = platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()

_onednn = HAS_ONEDNN  # whether fp32 products go there


def use_onednn(pays: bool) -> None:
    """Whether products in fp32 are oneDNN's from here on; finscale.training.products measures which is faster."""
    global _onednn
    _onednn = HAS_ONEDNN and pays


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
    """left right^T + bias; in fp32 on x86 by oneDNN."""
    if _onednn and left_RK.dtype == torch.float32:
        return by_onednn(left_RK, right_CK, bias_C)
    return F.linear(left_RK, right_CK, bias_C)


def by_onednn(left_RK: Tensor, right_CK: Tensor, bias_C: Tensor | None = None) -> Tensor:
    """left right^T + bias in fp32 by oneDNN, without a gradient; by torch's own way where there is none."""
    if not HAS_ONEDNN:
        return F.linear(left_RK, right_CK, bias_C)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left_RK, right_CK, bias_C, "none", [], "")
    return product


def linear(x_MI: Tensor, weight_OI: Tensor, bias_O: Tensor) -> Tensor:
    """torch's linear on the CPU; in fp32 on x86 by oneDNN."""
    if not _onednn or x_MI.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return F.linear(x_MI, weight_OI, bias_O)
    product: Tensor = _Linear.apply(x_MI, weight_OI, bias_O)
    return product


class _Attention(Function):
    """Self-attention between its two projections, qkv (3D, D) and out (D, D), in fp32; the projections in `dtype`.

    Between them everything lies as (..., S), so that each operation runs along all sequences at once: the matrices of a
    single sequence, 6 x 6 or 6 x 16, cost a matrix routine more to begin than to multiply.
    """

    @staticmethod
    def forward(
        ctx: Any, x_MD: Tensor, qkv: Tensor, qkv_bias: Tensor, out: Tensor, out_bias: Tensor,
        n_tokens: int, n_heads: int, scale: float, dtype: torch.dtype,
    ) -> Tensor:  # fmt: skip
        x_MD, qkv, out = x_MD.to(dtype), qkv.to(dtype), out.to(dtype)
        ctx.scale, ctx.shape = scale, (n_heads, x_MD.shape[1] // n_heads, n_tokens, len(x_MD) // n_tokens)
        projected = _product(qkv, x_MD).add_(qkv_bias.to(dtype)[:, None]).view(3, *ctx.shape)
        query, key, value = _exact(projected)
        weights_HNNS = torch.softmax(_over_width(query, key).mul_(scale), 2)
        mixed_DM = _over_keys(weights_HNNS, value).view(-1, len(x_MD)).to(dtype)
        ctx.save_for_backward(x_MD, qkv, out, projected, weights_HNNS, mixed_DM)
        return _product(mixed_DM.t(), out, out_bias.to(dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_MD: Tensor) -> tuple[Tensor | None, ...]:
        x_MD, qkv, out, projected, weights_HNNS, mixed_DM = ctx.saved_tensors
        query, key, value = _exact(projected)
        grad_mixed = _exact(_product(out.t(), grad_MD).view(ctx.shape))
        # Softmax's Jacobian: dS = W * (dW - sum(dW * W)), the sum over the keys.
        grad_weights = _over_width(grad_mixed, value).mul_(weights_HNNS)
        grad_scores = grad_weights.addcmul_(weights_HNNS, grad_weights.sum(2, keepdim=True), value=-1).mul_(ctx.scale)
        grad = torch.empty((3, *ctx.shape), dtype=grad_mixed.dtype)
        _over_keys(grad_scores, key, grad[0])
        _over_keys(grad_scores.transpose(1, 2), query, grad[1])
        _over_keys(weights_HNNS.transpose(1, 2), grad_mixed, grad[2])
        grad = grad.view(3 * len(mixed_DM), -1)
        low = grad.to(projected.dtype)
        grad_x = _product(low.t(), qkv.t())
        of_qkv, of_out = _product(low, x_MD.t()), _product(grad_MD.t(), mixed_DM)
        return grad_x, of_qkv, grad.sum(1), of_out, grad_MD.sum(0), None, None, None, None


def attention(
    x_MD: Tensor, qkv: nn.Linear, out: nn.Linear, n_tokens: int, n_heads: int, scale: float
) -> Tensor:  # fmt: skip
    """out(attention(qkv(x))), tokens in order of their place in the sequence: row n*S + s is token n of sequence s."""
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if autocast else x_MD.dtype
    mixed: Tensor = _Attention.apply(x_MD, qkv.weight, qkv.bias, out.weight, out.bias, n_tokens, n_heads, scale, dtype)
    return mixed


def _over_width(left_HdNS: Tensor, right_HdNS: Tensor) -> Tensor:
    """(H, N, N, S): left's tokens with right's, multiplied and summed over the width of a head."""
    return _sum_of_products(left_HdNS.unsqueeze(3).unbind(1), right_HdNS.unsqueeze(2).unbind(1))


def _over_keys(weights_HNNS: Tensor, value_HdNS: Tensor, out_HdNS: Tensor | None = None) -> Tensor:
    """(H, d, N, S): values weighted and summed over the second axis of tokens."""
    return _sum_of_products(weights_HNNS.unsqueeze(1).unbind(3), value_HdNS.unsqueeze(2).unbind(3), out_HdNS)


def _sum_of_products(lefts: Sequence[Tensor], rights: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    total = torch.mul(lefts[0], rights[0], out=out)
    for left, right in zip(lefts[1:], rights[1:], strict=True):
        total.addcmul_(left, right)
    return total


def _exact(of: Tensor) -> Tensor:
    """At least fp32."""
    return of if of.dtype == torch.float64 else of.float()


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
