"""Order of the rows, micro-batches, and packing: documents end to end in one row, no padding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.seeds import stream


@dataclass(frozen=True, slots=True)
class Packed:
    """Documents in one row of T tokens, of which N are to be predicted. What documents begin with alike (a system turn,
    the prompt of several answers) may stand in the row once: then they share its places, and V > T.

    A token is predicted from the hidden state before it, so the first token of a document never is, whatever its mask.
    """

    ids: Tensor
    """int64 (1, T): the tokens."""
    positions: Tensor
    """int64 (1, T): position inside the document; restarts at 0, or at what was shared."""
    lengths: tuple[int, ...]
    """Tokens of each document; they sum to V."""
    offsets: Tensor
    """int32 (documents + 1): where each document starts among the V tokens of all, and V."""
    sources: Tensor
    """int64 (N): index in the row of the hidden state that predicts each target."""
    targets: Tensor
    """int64 (N): the tokens to be predicted."""
    owners: Tensor
    """int64 (N): the document of each target."""
    ends: Tensor
    """int64 (documents): index in the row of the last token of each document that is no padding."""
    places: Tensor | None = None
    """int64 (V): where each token of each document stands in the row; None: end to end, T = V."""
    firsts: Tensor | None = None
    """int64 (T): the first of the V tokens that stands at each place of the row; None with ``places``."""
    virtual: Tensor | None = None
    """int64 (M): the places of the row that virtual tokens take; None: there are none."""
    plans: dict[tuple[int, int], Any] = field(default_factory=dict, compare=False, repr=False)
    """What attention has worked out about the documents, for the next layer."""

    def spread(self, states: Tensor, dim: int) -> Tensor:
        """Return states of the row, T along ``dim``, as those of each document end to end, V along ``dim``."""
        if self.places is None:
            return states
        spread: Tensor = _Spread.apply(states, self.places, dim)  # type: ignore[no-untyped-call]
        return spread

    def predicting(self, states: Tensor) -> Tensor:
        """Return the hidden states (N, H) that predict, of those of the row (T, H)."""
        return self._at(self.sources, states)

    def ending(self, states: Tensor) -> Tensor:
        """Return the hidden states (documents, H) at the ends of documents, of those of the row (T, H)."""
        return self._at(self.ends, states)

    def _at(self, places: Tensor, states: Tensor) -> Tensor:
        if self.places is None:
            return states[places]
        chosen: Tensor = _Spread.apply(states, places, 0)  # type: ignore[no-untyped-call]
        return chosen

    def collect(self, states: Tensor, dim: int) -> Tensor:
        """Return what :meth:`spread` was given: of tokens that share a place, the first."""
        return states if self.firsts is None else states.index_select(dim, self.firsts)

    def with_virtual(self, states: Tensor, learned: Tensor, dim: int) -> Tensor:
        """Return states of the row, T along ``dim``, with those of virtual tokens, P along ``dim``, at their places."""
        assert self.virtual is not None
        chosen: Tensor = _Spread.apply(learned, self.positions[0, self.virtual], dim)  # type: ignore[no-untyped-call]
        return states.index_copy(dim, self.virtual, chosen.to(states.dtype))


class _Spread(torch.autograd.Function):
    """``index_select`` whose gradients of one place are summed in float32: a system turn has one of every document."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, places: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(places)
        ctx.dim, ctx.shape = dim, states.shape
        return states.index_select(dim, places)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        total = torch.zeros(
            ctx.shape, dtype=torch.promote_types(upstream[0].dtype, torch.float32), device=places.device
        )
        return total.index_add_(ctx.dim, places, upstream[0].to(total.dtype)).to(upstream[0].dtype), None, None


def pack(
    documents: Sequence[Encoded],
    device: torch.device,
    *,
    share: bool = False,
    virtual: int = 0,
    padding: int | None = None,
) -> Packed:
    """Lay ``documents`` into one row on ``device``: end to end, or with what they begin with alike once (``share``).

    ``virtual`` tokens stand before each document and belong to it; its own first token is still not predicted.
    ``padding``: the token that does not count at the end of a document.
    """
    if virtual:
        documents = [_behind(virtual, document) for document in documents]
    lengths = tuple(len(document.ids) for document in documents)
    offsets = [0, *accumulate(lengths)]
    ids = torch.cat([torch.as_tensor(document.ids, dtype=torch.int64) for document in documents])
    learned = torch.cat([torch.as_tensor(document.targets, dtype=torch.bool) for document in documents])
    learned[torch.tensor(offsets[:-1])] = False
    at = learned.nonzero(as_tuple=True)[0]
    owners = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[at]
    ends = torch.tensor([first + _last(document, padding) for first, document in zip(offsets, documents, strict=False)])
    positions = torch.cat([torch.arange(length) for length in lengths])
    places, firsts = _shared(documents) if share else (None, None)
    row = slice(None) if firsts is None else firsts
    return Packed(
        ids=ids[row][None].to(device),
        positions=positions[row][None].to(device),
        virtual=(positions[row] < virtual).nonzero(as_tuple=True)[0].to(device) if virtual else None,
        lengths=lengths,
        offsets=torch.tensor(offsets, dtype=torch.int32, device=device),
        sources=(at - 1 if places is None else places[at - 1]).to(device),
        targets=ids[at].to(device),
        owners=owners.to(device),
        ends=(ends if places is None else places[ends]).to(device),
        places=None if places is None else places.to(device),
        firsts=None if firsts is None else firsts.to(device),
    )


def _behind(virtual: int, document: Encoded) -> Encoded:
    """``document`` behind virtual tokens, whose ids are never looked up."""
    ids = np.concatenate([np.zeros(virtual, dtype=np.int32), document.ids])
    targets = np.concatenate([np.zeros(virtual + 1, dtype=np.bool_), document.targets[1:]])
    return Encoded(ids, targets)


def _last(document: Encoded, padding: int | None) -> int:
    """The place of the last token that is not ``padding``; the first, if all are."""
    if padding is None:
        return len(document.ids) - 1
    counted = np.flatnonzero(document.ids != padding)
    return int(counted[-1]) if len(counted) else 0


def _shared(documents: Sequence[Encoded]) -> tuple[Tensor | None, Tensor | None]:
    """Places and firsts of documents that share all that they begin with alike; nothing if nothing is shared."""
    branches: dict[tuple[int, int], int] = {}
    places: list[int] = []
    firsts: list[int] = []
    for document in documents:
        place = -1
        for token in document.ids.tolist():
            place = branches.setdefault((place, token), len(firsts))
            if place == len(firsts):
                firsts.append(len(places))
            places.append(place)
    if len(firsts) == len(places):
        return None, None
    return torch.tensor(places), torch.tensor(firsts)


def target_count(document: Encoded) -> int:
    """Return how many tokens of a document can be learned: those of the mask, without the document's first token."""
    return int(document.targets[1:].sum())


def unusable(document: Encoded, max_tokens: int, context: int | None = None) -> str:
    """Return why a document cannot be trained on, by a model of ``context`` tokens if that is known; empty if it can.

    Beyond its context a model has no place for a token (learned positions) or was never trained (rotary ones).
    """
    if len(document.ids) > max_tokens:
        return f"{len(document.ids)} tokens; max_tokens is {max_tokens}"
    if context is not None and len(document.ids) > context:
        return f"{len(document.ids)} tokens; the model's context is {context}"
    if target_count(document) == 0:
        return "no target tokens"
    return ""


def steps_an_epoch(rows: int, batch_size: int) -> int:
    """Return the optimizer steps of one epoch; the last one may hold fewer rows."""
    return math.ceil(rows / batch_size)


def total_steps(rows: int, *, batch_size: int, epochs: int, max_steps: int, updates: int = 1) -> int:
    """Return the optimizer steps of a whole run: ``epochs``, but at most ``max_steps`` unless that is 0.

    ``updates`` of them are made of the same rows.
    """
    steps = updates * epochs * steps_an_epoch(rows, batch_size)
    return min(steps, max_steps) if max_steps else steps


def rows_of_step(step: int, *, rows: int, batch_size: int, seed: int) -> list[int]:
    """Return the rows of a step (counted from 0): a function of its arguments only, so a resumed run cannot drift.

    Each epoch is its own permutation of all rows.
    """
    epoch, within = divmod(step, steps_an_epoch(rows, batch_size))
    return list(_order(rows, seed, epoch)[within * batch_size : (within + 1) * batch_size])


@lru_cache(maxsize=2)  # of the rows of an epoch, and of what stands beside them
def _order(rows: int, seed: int, epoch: int) -> tuple[int, ...]:
    order = list(range(rows))
    stream(seed, "order", epoch).shuffle(order)
    return tuple(order)


def micro_batches(sizes: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Split rows of ``sizes`` tokens, in order, into runs of at most ``max_tokens``; a larger row stands alone."""
    batches: list[list[int]] = []
    filled = 0
    for index, size in enumerate(sizes):
        if not batches or filled + size > max_tokens:
            batches.append([])
            filled = 0
        batches[-1].append(index)
        filled += size
    return batches


def flatten(groups: Sequence[tuple[Encoded, ...]]) -> list[Encoded]:
    """Return the documents of several rows in order."""
    return list(chain.from_iterable(groups))
