"""The attention kernel for short sequences against torch's own in float64."""

import os
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not find_spec("triton") or not (torch.cuda.is_available() or INTERPRETED):
    pytest.skip("needs CUDA, or PyTorch's CUDA build and TRITON_INTERPRET=1", allow_module_level=True)

from finscale.model.short_attention import LONGEST, WIDEST, short_attention

WHERE = "cpu" if INTERPRETED else "cuda"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 3e-3, torch.bfloat16: 2e-2}
# Tokens, heads, width of a head, sequences.
SIZES = [(6, 4, 16, 5), (6, 13, 64, 3), (16, 2, 12, 3), (1, 2, 8, 2), (7, 1, 4, 3), (LONGEST, 2, WIDEST, 2)]


def error(ours: torch.Tensor, reference: torch.Tensor) -> float:
    """A single token has gradients of zero: hence the floor."""
    return float((ours.detach().cpu().double() - reference.detach()).norm() / reference.detach().norm().clamp_min(1e-3))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("n_tokens", "n_heads", "width", "sequences"), SIZES)
def test_values_and_gradients_are_those_of_attention(
    n_tokens: int, n_heads: int, width: int, sequences: int, dtype: torch.dtype
) -> None:
    if INTERPRETED and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies bf16 as integers")
    torch.manual_seed(0)
    rows, full = sequences * n_tokens, n_heads * width
    qkv, weight = torch.randn(rows, 3 * full).to(dtype), torch.randn(rows, full).to(dtype)
    exact = qkv.double().requires_grad_()
    query, key, value = exact.view(sequences, n_tokens, 3, n_heads, width).permute(2, 0, 3, 1, 4).unbind(0)
    expected = F.scaled_dot_product_attention(query, key, value, scale=0.3).transpose(1, 2).reshape(rows, full)
    (gradient,) = torch.autograd.grad((expected * weight.double()).sum(), exact)

    given = qkv.to(WHERE).requires_grad_()
    output = short_attention(given, n_tokens, n_heads, 0.3)
    (output * weight.to(WHERE)).float().sum().backward()
    assert given.grad is not None
    assert output.dtype == given.grad.dtype == dtype
    assert error(output, expected) < TOLERANCE[dtype]
    assert error(given.grad, gradient) < TOLERANCE[dtype]


def test_the_operation_is_one_that_torch_can_compile_and_differentiate() -> None:
    qkv = torch.randn(12, 24, device=WHERE, requires_grad=True)
    torch.library.opcheck(short_attention, (qkv, 6, 2, 0.5))
