"""The gated block of a transformer, down(silu(gate(x)) · up(x)), that remembers only what it cannot make again.

Autograd keeps four matrices of the inner width for the way back: gate's output, its silu, up's output, their product.
Here two are kept, and the others are made again in two passes; each step writes where the one before it no longer
reads. Rounding is that of the plain block, step by step.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from tutelage.tune.training.adapted import Parts, gradients


def gated_block(x: Tensor, gate: Parts, up: Parts, down: Parts) -> Tensor:
    """Return ``down(silu(gate(x)) · up(x))`` (..., out) of ``x`` (..., in)."""
    scales = gate.scale, up.scale, down.scale
    y: Tensor = _Gated.apply(x, *gate.tensors, *up.tensors, *down.tensors, scales)  # type: ignore[no-untyped-call]
    return y


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *given: Any) -> Tensor:
        *tensors, scales = given
        gate, up, down = _three(tensors, scales)
        rows = x.reshape(-1, x.shape[-1])
        g, narrow_g = gate.apply(rows)
        u, narrow_u = up.apply(rows)
        y, narrow_d = down.apply(silu(g).mul_(u))
        ctx.save_for_backward(rows, g, u, narrow_g, narrow_u, narrow_d, *tensors)
        ctx.scales = scales
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        rows, g, u, narrow_g, narrow_u, narrow_d, *tensors = ctx.saved_tensors
        gate, up, down = _three(tensors, ctx.scales)
        needs = ctx.needs_input_grad
        above = upstream[0].reshape(-1, upstream[0].shape[-1])
        opened = silu(g)
        inner = opened * u
        of_down = gradients(down, above, inner, narrow_d, needs[9:13])
        arrived = of_down.rows
        assert arrived is not None
        of_u = opened.mul_(arrived)
        of_opened = torch.mul(arrived, u, out=inner)
        of_g = torch.ops.aten.silu_backward.grad_input(of_opened, g, grad_input=arrived)
        of_gate = gradients(gate, of_g, rows, narrow_g, needs[1:5], of_rows=needs[0])
        of_up = gradients(up, of_u, rows, narrow_u, needs[5:9], into=of_gate.rows, of_rows=needs[0])
        of_x = None if of_up.rows is None else of_up.rows.view(*upstream[0].shape[:-1], -1)
        return of_x, *of_gate.tensors, *of_up.tensors, *of_down.tensors, None


def _three(tensors: Any, scales: tuple[float, float, float]) -> tuple[Parts, Parts, Parts]:
    gate, up, down = (Parts.of(tensors[4 * at : 4 * at + 4], scales[at]) for at in range(3))
    return gate, up, down
