"""A frozen linear layer with a low-rank update beside it, in as few passes over memory as there are products.

    y = x Wᵀ + b + s·(x Aᵀ) Bᵀ        A (r, in), B (out, r), s a number

Left to autograd, the update costs a scaled copy and a sum of the whole (T, out) forward and backward. Here it is added
into y, and into the gradient of x, by the matrix product that makes it, and s multiplies what is r wide.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


def adapted_linear(x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Return ``x Wᵀ + bias + scale·(x Aᵀ) Bᵀ``.

    ``x`` (..., in), ``weight`` (out, in) and ``bias`` (out), both frozen, ``a`` (r, in) and ``b`` (out, r) are of one
    dtype; returns (..., out).
    """
    y: Tensor = _AdaptedLinear.apply(x, weight, bias, a, b, scale)  # type: ignore[no-untyped-call]
    return y


class _AdaptedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        narrow = rows @ a.T
        y = linear(rows, weight, bias).addmm_(narrow, b.T, alpha=scale)
        ctx.save_for_backward(rows, narrow, weight, a, b)
        ctx.scale = scale
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        rows, narrow, weight, a, b = ctx.saved_tensors
        gradient = upstream[0].reshape(-1, upstream[0].shape[-1])
        inner = (gradient @ b).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ weight).addmm_(inner, a).view(*upstream[0].shape[:-1], -1)
        return of_x, None, None, inner.T @ rows, (gradient.T @ narrow).mul_(ctx.scale), None
