"""Blocks of a model that remember less and pass over memory less, each put in place of one that computes the same.

| block | by |
|---|---|
| gated block: ``gate_proj``, ``up_proj``, ``down_proj`` around a silu | :mod:`gated` |
| root mean square normalization | :mod:`normed` |

Nothing is known by a model's name: a block that looks like one of these is asked about some rows, and only if both ways
say the same is it computed the short way while :func:`lean` lasts. Layers stay the model's own; weights that train,
and low-rank updates beside those that do not, get their gradients as before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from tutelage.tune.training.adapted import parts_of
from tutelage.tune.training.gated import gated_block
from tutelage.tune.training.normed import rms_norm

ROWS = 4
LINEARS = ("gate_proj", "up_proj", "down_proj")
SIZES = (1.0, 64.0)
"""Of the numbers in the rows that a block is asked about: some clamp what is large."""
TOLERANCE = 1e-5
"""Of the largest number."""


@contextmanager
def lean(model: nn.Module) -> Iterator[int]:
    """Let blocks of ``model`` be computed the short way; gives how many. They are as they were at the end."""
    changed: list[nn.Module] = []
    try:
        for module in model.modules():
            short = _short_way(module)
            if short is not None and _agrees(module, short):
                module.forward = short
                changed.append(module)
        yield len(changed)
    finally:
        for module in changed:
            del module.forward


def _short_way(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """The short way to compute what looks like a known block; None of any other."""
    if "forward" in vars(module):
        return None
    children = dict(module.named_children())
    if set(LINEARS) <= set(children) and len([*module.parameters(recurse=False)]) == 0:
        known = all(parts_of(children[name]) is not None for name in LINEARS)
        return partial(_gated, module) if known else None
    names = [name for name, _ in module.named_parameters()]
    if names == ["weight"] and not children and type(module).__name__.endswith("RMSNorm") and _epsilon(module):
        return partial(_normed, module)
    return None


def _gated(module: nn.Module, x: Tensor) -> Tensor:
    gate, up, down = (parts_of(module.get_submodule(name)) for name in LINEARS)
    if gate is None or up is None or down is None or x.dtype != gate.weight.dtype:
        return _plain(module, x)
    return gated_block(x, gate, up, down)


def _normed(module: nn.Module, x: Tensor) -> Tensor:
    weight = module.get_parameter("weight")
    if x.dtype != weight.dtype:
        return _plain(module, x)
    return rms_norm(x, weight, _epsilon(module))


def _epsilon(module: nn.Module) -> float:
    """The ε of a normalization; 0 if it has none that is known."""
    found = next((value for name in ("variance_epsilon", "eps") if (value := vars(module).get(name))), 0.0)
    return float(found) if isinstance(found, int | float) else 0.0


def _plain(module: nn.Module, x: Tensor) -> Tensor:
    whole: Tensor = type(module).forward(module, x)
    return whole


@torch.no_grad()
def _agrees(module: nn.Module, short: Callable[[Tensor], Tensor]) -> bool:
    """Whether both ways say the same of some rows, small and large, but for the rounding of the arithmetic.

    It is asked while it trains, where a block may drop numbers, and where the weights allow it in float32: in bfloat16
    a gelu can pass for a silu.
    """
    first, dtypes = next(module.parameters()), {parameter.dtype for parameter in module.parameters()}
    if len(dtypes) > 1 or not first.is_floating_point():
        return False
    dtype, training = first.dtype, module.training
    rows = torch.linspace(-2, 2, ROWS * first.shape[-1], dtype=torch.float64).view(-1, ROWS).T.cos().contiguous()
    try:
        module.float().train()
        for size in SIZES:
            x = size * rows.to(device=first.device, dtype=torch.float32)[None]
            plain, found = _plain(module, x), short(x)
            if not (plain - found).abs().max().item() <= TOLERANCE * plain.abs().max().item():
                return False
    finally:
        module.to(dtype).train(training)
    return True
