"""Attention over many short sequences on CUDA, one kernel forward and one backward.

A channel's sequence is 4 to 16 tokens. torch's fused attention works on tiles of 128 queries and 128 keys, and its
backward pass keeps a float32 buffer of 128 rows for each sequence: some twenty times the arithmetic and the memory that
6 tokens need. Plain batched products cost a dozen launches, each of which passes over all tokens. Here a program loads
one sequence's queries, keys and values of one head, which fit into registers, and writes the result.

The operation is opaque to torch.compile and deterministic: no two programs write one number. Written in Triton
(Tillet et al. 2019), which PyTorch's CUDA builds bring.

Shapes: S sequences, T tokens of a sequence, M = S*T rows, H heads, d width of a head, D = H*d. Rows of qkv hold a
token's queries, keys and values, (M, 3D), in this order, each head by head.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LONGEST, WIDEST = 32, 128  # tokens of a sequence and width of a head: what one warp or two keep in registers
_SMALLEST_TILE = 16  # of a matrix unit's product


@triton.jit
def _tile(base, stride, part, head, T, d, rows, columns, D):  # type: ignore[no-untyped-def]
    """Addresses and mask of one head's (T, d) numbers of a sequence; part: 0 queries, 1 keys, 2 values."""
    inside = (rows[:, None] < T) & (columns[None, :] < d)
    return base + rows[:, None] * stride + part * D + head * d + columns[None, :], inside


@triton.jit  # type: ignore[untyped-decorator]
def _weights(query, key, scale, columns, T, PRECISION: tl.constexpr):  # type: ignore[no-untyped-def]
    """softmax(q k^T scale) over the keys there are, in float32."""
    scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
    scores = tl.where(columns[None, :] < T, scores, float("-inf"))
    powers = tl.exp(scores - tl.max(scores, 1)[:, None])
    return powers / tl.sum(powers, 1)[:, None]


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    qkv, out, scale, T, D, d, ROWS: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr
):
    sequence, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    rows, columns = tl.arange(0, ROWS), tl.arange(0, WIDTH)
    base = qkv + sequence * T * 3 * D
    at, inside = _tile(base, 3 * D, 0, head, T, d, rows, columns, D)
    query = tl.load(at, inside, 0.0)
    key, value = tl.load(at + D, inside, 0.0), tl.load(at + 2 * D, inside, 0.0)
    weights = _weights(query, key, scale, tl.arange(0, ROWS), T, PRECISION)
    mixed = tl.dot(weights.to(value.dtype), value, input_precision=PRECISION)
    to, inside = _tile(out + sequence * T * D, D, 0, head, T, d, rows, columns, D)
    tl.store(to, mixed.to(value.dtype), inside)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    qkv, grad_out, grad_qkv, scale, T, D, d, ROWS: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr
):
    sequence, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    rows, columns = tl.arange(0, ROWS), tl.arange(0, WIDTH)
    at, inside = _tile(qkv + sequence * T * 3 * D, 3 * D, 0, head, T, d, rows, columns, D)
    query = tl.load(at, inside, 0.0)
    key, value = tl.load(at + D, inside, 0.0), tl.load(at + 2 * D, inside, 0.0)
    at, inside = _tile(grad_out + sequence * T * D, D, 0, head, T, d, rows, columns, D)
    grad = tl.load(at, inside, 0.0)
    weights = _weights(query, key, scale, tl.arange(0, ROWS), T, PRECISION)
    # Softmax's Jacobian: dS = W * (dW - sum(dW * W)), the sum over the keys.
    grad_weights = tl.dot(grad, tl.trans(value), input_precision=PRECISION)
    grad_scores = weights * (grad_weights - tl.sum(grad_weights * weights, 1)[:, None]) * scale
    low, low_weights = grad_scores.to(query.dtype), weights.to(query.dtype)
    to, inside = _tile(grad_qkv + sequence * T * 3 * D, 3 * D, 0, head, T, d, rows, columns, D)
    tl.store(to, tl.dot(low, key, input_precision=PRECISION).to(query.dtype), inside)
    tl.store(to + D, tl.dot(tl.trans(low), query, input_precision=PRECISION).to(query.dtype), inside)
    tl.store(to + 2 * D, tl.dot(tl.trans(low_weights), grad, input_precision=PRECISION).to(query.dtype), inside)


def _launch(kernel: Any, tensors: list[Tensor], n_tokens: int, n_heads: int, scale: float) -> None:
    """tensors: qkv first, whose shape and type decide all."""
    n_rows, width = tensors[0].shape[0], tensors[0].shape[1] // 3
    exact = tensors[0].dtype == torch.float32  # without matrix units, and with twice the registers
    rows = max(_SMALLEST_TILE, triton.next_power_of_2(n_tokens))
    columns = max(_SMALLEST_TILE, triton.next_power_of_2(width // n_heads))
    kernel[n_rows // n_tokens, n_heads](
        *tensors, scale, n_tokens, width, width // n_heads, ROWS=rows, WIDTH=columns,
        PRECISION="ieee" if exact else "tf32", num_warps=rows // _SMALLEST_TILE * (4 if exact else 1),
    )  # fmt: skip


@torch.library.custom_op("finscale::short_attention", mutates_args=())
def short_attention(qkv: Tensor, n_tokens: int, n_heads: int, scale: float) -> Tensor:
    """Self-attention within each sequence: (M, 3D) -> (M, D), in qkv's type; sums in float32."""
    qkv = qkv.contiguous()
    out = qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)
    _launch(_forward, [qkv, out], n_tokens, n_heads, scale)
    return out


@torch.library.custom_op("finscale::short_attention_backward", mutates_args=())
def _gradient(qkv: Tensor, grad_out: Tensor, n_tokens: int, n_heads: int, scale: float) -> Tensor:
    qkv, grad_out = qkv.contiguous(), grad_out.contiguous()
    grad_qkv = torch.empty_like(qkv)
    _launch(_backward, [qkv, grad_out, grad_qkv], n_tokens, n_heads, scale)
    return grad_qkv


@short_attention.register_fake
def _(qkv: Tensor, n_tokens: int, n_heads: int, scale: float) -> Tensor:
    return qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)


@_gradient.register_fake
def _(qkv: Tensor, grad_out: Tensor, n_tokens: int, n_heads: int, scale: float) -> Tensor:
    return torch.empty_like(qkv, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    qkv, *ctx.settings = inputs
    ctx.save_for_backward(qkv)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None, None]:
    return _gradient(ctx.saved_tensors[0], grad_out, *ctx.settings), None, None, None


short_attention.register_autograd(_differentiate, setup_context=_keep)
