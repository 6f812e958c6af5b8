"""Activations made anew: of each decoder layer only what goes in is kept, and the layer is computed a second time on
the way back (activation checkpointing, Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").

Which modules are such layers a model of transformers says itself (``GradientCheckpointingLayer``); torch's
``checkpoint`` does the rest, with the random state of the first time, so that dropout draws the same. Both passes are
the same operations on the same numbers: no loss and no gradient changes, where the arithmetic repeats itself. The
paper keeps every √L-th of L layers; here it is every one, as is usual, for what comes between is kept of one layer at a
time.

Deviation: transformers' own switch is not used. Its name changed between the versions that Tutelage takes, it works
only in training mode, and it makes the embeddings ask for gradients that the way here does not need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tutelage.errors import ModelError


@contextmanager
def recomputed(model: nn.Module, kind: type[nn.Module]) -> Iterator[int]:
    """Let the layers of ``model``, its modules of a ``kind``, keep only what goes into them; gives how many. They are
    as they were at the end, and the way back must have ended before.

    Raises
    ------
    ModelError: the model has no module of that kind.
    """
    layers = [module for module in model.modules() if isinstance(module, kind)]
    if not layers:
        raise ModelError(
            "this model does not say which of its layers can be computed anew",
            where=type(model).__name__,
            remedy="leave out tune.activation_checkpointing, and lower tune.micro_batch_tokens instead",
        )
    before = [vars(layer).get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = partial(_anew, layer.forward)
        yield len(layers)
    finally:
        for layer, own in zip(layers, before, strict=True):
            if own is None:
                del layer.forward
            else:
                layer.forward = own


def _anew(forward: Any, *args: Any, **kwargs: Any) -> Any:
    """What a layer computes; where there is a way back it is computed anew for it. ``forward`` is the layer's own."""
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(partial(forward, **kwargs), *args, use_reentrant=False)
