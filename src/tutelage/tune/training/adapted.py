"""A linear layer with a low-rank update beside it, in as few passes over memory as there are products.

    y = x Wᵀ + b + s·(x Aᵀ) Bᵀ        A (r, in), B (out, r), s a number

Left to autograd, the update costs a scaled copy and a sum of the whole (T, out) forward and backward. Here it is added
into y, and into the gradient of x, by the matrix product that makes it, and s multiplies what is r wide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


@dataclass(frozen=True, slots=True)
class Parts:
    """A linear layer as tensors of one dtype: ``weight`` (out, in), ``bias`` (out), ``a`` (r, in) and ``b`` (out, r).

    Without ``a`` and ``b`` nothing stands beside the weight.
    """

    weight: Tensor
    bias: Tensor | None = None
    a: Tensor | None = None
    b: Tensor | None = None
    scale: float = 0.0

    @classmethod
    def of(cls, tensors: Sequence[Tensor | None], scale: float) -> "Parts":
        """Return the layer whose :attr:`tensors` these are."""
        weight, bias, a, b = tensors
        assert weight is not None
        return cls(weight, bias, a, b, scale)

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """Weight, bias, A and B: what autograd must see, in the order of :class:`Gradients`."""
        return self.weight, self.bias, self.a, self.b

    def apply(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return y (n, out) of ``rows`` (n, in), and x Aᵀ (n, r)."""
        y = linear(rows, self.weight, self.bias)
        if self.a is None or self.b is None:
            return y, None
        narrow = rows @ self.a.T
        return y.addmm_(narrow, self.b.T, alpha=self.scale), narrow


@dataclass(frozen=True, slots=True)
class Gradients:
    """Those of a layer's input and of its tensors; None where nobody asked."""

    rows: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    a: Tensor | None
    b: Tensor | None

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """In the order of :attr:`Parts.tensors`."""
        return self.weight, self.bias, self.a, self.b


def gradients(
    parts: Parts,
    upstream: Tensor,
    rows: Tensor | None,
    narrow: Tensor | None,
    needs: tuple[bool, ...],
    *,
    into: Tensor | None = None,
    of_rows: bool = True,
) -> Gradients:
    """Return the gradients of a layer, given that of its output, ``upstream`` (n, out).

    ``rows`` and ``narrow`` are what went in and what :meth:`Parts.apply` gave; ``rows`` may be None if only the input's
    gradient is asked for. ``needs`` are those of the tensors. The input's gradient is added to ``into`` if it is given.
    """
    inner = None if parts.b is None else (upstream @ parts.b).mul_(parts.scale)
    found = None
    if of_rows:
        found = upstream @ parts.weight if into is None else into.addmm_(upstream, parts.weight)
        if inner is not None:
            assert parts.a is not None
            found.addmm_(inner, parts.a)
    of_a = of_b = of_weight = None
    if needs[0]:
        assert rows is not None
        of_weight = upstream.T @ rows
    if inner is not None:
        assert rows is not None
        assert narrow is not None
        of_a = inner.T @ rows if needs[2] else None
        of_b = (upstream.T @ narrow).mul_(parts.scale) if needs[3] else None
    return Gradients(found, of_weight, upstream.sum(0) if needs[1] else None, of_a, of_b)


def adapted_linear(x: Tensor, parts: Parts) -> Tensor:
    """Return ``x Wᵀ + bias + scale·(x Aᵀ) Bᵀ`` (..., out) of ``x`` (..., in)."""
    y: Tensor = _AdaptedLinear.apply(x, *parts.tensors, parts.scale)  # type: ignore[no-untyped-call]
    return y


class _AdaptedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *given: Any) -> Tensor:
        *tensors, scale = given
        parts = Parts.of(tensors, scale)
        rows = x.reshape(-1, x.shape[-1])
        y, narrow = parts.apply(rows)
        ctx.save_for_backward(rows, narrow, *parts.tensors)
        ctx.scale = parts.scale
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        rows, narrow, *tensors = ctx.saved_tensors
        above = upstream[0].reshape(-1, upstream[0].shape[-1])
        needs = ctx.needs_input_grad
        found = gradients(Parts.of(tensors, ctx.scale), above, rows, narrow, needs[1:5], of_rows=needs[0])
        of_x = None if found.rows is None else found.rows.view(*upstream[0].shape[:-1], -1)
        return of_x, *found.tensors, None


class KnownForward:
    """The forward pass of a layer whose parts are known; where ``parts`` gives None the layer computes as it always
    does (its adapter is switched off, merged, or joined by another)."""

    def __init__(self, module: nn.Module, parts: Callable[[], Parts | None]) -> None:
        self.module, self.parts = module, parts

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the layer."""
        parts = None if args or kwargs else self.parts()
        if parts is None:
            whole: Tensor = type(self.module).forward(self.module, x, *args, **kwargs)
            return whole
        return adapted_linear(x, parts)


def parts_of(module: nn.Module) -> Parts | None:
    """Return the tensors of a linear layer that is plain, or adapted in a way that is known; None of any other."""
    own = vars(module).get("forward")
    if isinstance(own, KnownForward):
        return own.parts()
    if type(module) is nn.Linear and own is None and not module._forward_hooks and not module._forward_pre_hooks:
        return Parts(module.weight, module.bias)
    return None
