"""Root mean square normalization (Zhang & Sennrich 2019) that remembers its input and one number a row.

    y = w · x / √(mean x² + ε)

Autograd keeps the input in float32, its square's root and the normalized row. The arithmetic is that of transformers:
float32 inside, rounded once before the weight.
"""

from typing import Any

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return the normalized rows of ``x`` (..., H), times ``weight`` (H), of one dtype."""
    y: Tensor = _Normed.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return y


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = x.float()
        shrink = wide.pow(2).mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, shrink, weight)
        # A float32 input is its own copy, which nobody may write to.
        normal = (wide * shrink if wide is x else wide.mul_(shrink)).to(x.dtype)
        return normal.mul_(weight)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, shrink, weight = ctx.saved_tensors
        above = upstream[0]
        normal = x.float() * shrink
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = (above * normal.to(x.dtype)).flatten(0, -2).sum(0)
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None
        arrived = (above * weight).float()
        along = (arrived * normal).mean(-1, keepdim=True)
        return arrived.sub_(normal.mul_(along)).mul_(shrink).to(x.dtype), of_weight, None
