"""Rows that are trained in the place of some of a frozen layer's, without a copy or a gradient of all of them.

    x = E[ids], but N[j] where the j-th of the new ids stands      y = h Wᵀ, but h Nᵀ in the columns of the new ids

E and W are (V, H) and frozen, N (k, H) is trained. Written into a copy of E, as PEFT does it in every pass, they cost
the whole vocabulary's size once forward and once as a gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear


@dataclass(frozen=True, slots=True)
class Rows:
    """A layer's frozen ``weight`` (V, H), the ids of its trained rows ``new`` int64 (k), and these ``rows`` (k, H), of
    the weight's dtype."""

    weight: Tensor
    new: Tensor
    rows: Tensor

    def look_up(self, ids: Tensor) -> Tensor:
        """Return the embeddings (..., H) of ``ids`` (...)."""
        hits = ids[..., None] == self.new
        found = embedding(hits.int().argmax(-1), self.rows)
        return torch.where(hits.any(-1, keepdim=True), found, embedding(ids, self.weight))

    def predict(self, states: Tensor) -> Tensor:
        """Return the logits (..., V) of ``states`` (..., H)."""
        return linear(states, self.weight).index_copy_(-1, self.new, linear(states, self.rows))


class KnownRows:
    """The forward pass of embeddings or of an output layer with trained rows; where ``parts`` gives None the layer
    computes as it always does (its adapter is switched off, merged, or joined by another)."""

    def __init__(self, module: nn.Module, parts: Callable[[], Rows | None], *, looks_up: bool) -> None:
        self.module, self.parts, self.looks_up = module, parts, looks_up

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the layer."""
        parts = None if args or kwargs else self.parts()
        if parts is None:
            whole: Tensor = type(self.module).forward(self.module, x, *args, **kwargs)
            return whole
        return parts.look_up(x) if self.looks_up else parts.predict(x)


def rows_of(head: nn.Module) -> Rows | None:
    """Return the trained rows of an output layer that nothing else of trains; None of any other."""
    own = vars(head).get("forward")
    return own.parts() if isinstance(own, KnownRows) and not own.looks_up else None
