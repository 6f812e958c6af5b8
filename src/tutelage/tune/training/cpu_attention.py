"""Attention of packed documents on a CPU: padded into batches for this alone, two matrix products a batch.

torch's kernel works through one document after the other, and short ones leave most of it idle. Here documents of
about the same length share a batch; what fills it up stands behind a document's last token, so under the causal mask no
token of the document sees it: the result is exact. Key heads are shared by their query heads inside one product, and
never copied. Long documents are worked through in blocks of queries, each against the keys up to its end, so that
memory grows with the length and not with its square, and nothing but queries, keys and values is kept for the way back.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from tutelage.tune.training.batches import Packed

BLOCK = 256
"""Queries of a document that are computed at once, at most; their scores are made anew on the way back."""

SCORES = 1 << 24
"""Scores that a block has at most (64 MiB), as long as it holds :data:`LEAST_BLOCK` queries of each document."""

LEAST_BLOCK = 16

MOST_FILLING = 0.25
"""Of the shortest document of a batch: by how much more its longest may be longer than 8 tokens."""

LARGEST_FILLING = 64
"""By how many tokens it may be longer at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B documents of at most L tokens, S key heads of G query heads each.

    ``queries`` int64 (B · S · G · L) and ``keys`` int64 (B · S · L) are rows of the states laid out as (T · heads, D);
    filling repeats a document's last token. ``heads``: G.
    """

    count: int
    longest: int
    queries: Tensor
    keys: Tensor
    heads: int

    @property
    def block(self) -> int:
        """Queries of each document in a block."""
        return max(LEAST_BLOCK, min(BLOCK, SCORES // len(self.queries)))

    def blocks(self) -> "Iterator[Block]":
        """Yield the queries in blocks, each with the keys up to its end."""
        size = self.block
        for first in range(0, self.longest, size):
            yield Block(self, first, min(first + size, self.longest))


@dataclass(frozen=True, slots=True)
class Block:
    """The queries from ``first`` to before ``end`` of every document of a batch."""

    batch: Batch
    first: int
    end: int

    @property
    def whole(self) -> bool:
        """Whether it is all of the batch."""
        return self.end - self.first == self.batch.longest

    def of(self, states: Tensor) -> Tensor:
        """Return its rows (groups, G · (end − first), D) of states (groups, G · L, D)."""
        if self.whole:
            return states
        groups, _, width = states.shape
        apart = states.view(groups, self.batch.heads, self.batch.longest, width)
        return apart[:, :, self.first : self.end].reshape(groups, -1, width)

    def put(self, states: Tensor, into: Tensor) -> None:
        """Write its rows into those of all queries."""
        groups, _, width = into.shape
        apart = into.view(groups, self.batch.heads, self.batch.longest, width)
        apart[:, :, self.first : self.end] = states.view(groups, self.batch.heads, -1, width)

    def weights(self, asked: Tensor, keys: Tensor, scale: float) -> Tensor:
        """Return the weights (groups, G · (end − first), end) of its queries, normalized in float32."""
        future = torch.full((self.end - self.first, self.end), -math.inf, device=asked.device)
        mask = future.triu_(self.first + 1).repeat(self.batch.heads, 1)
        scores = torch.baddbmm(mask, asked.float(), keys[:, : self.end].float().transpose(1, 2), alpha=scale)
        return torch.softmax(scores, -1).to(asked.dtype)


class Plan:
    """Where the states of a packed row's documents lie in batches, and the way back.

    Parameters
    ----------
    lengths: tokens of each document, in order.
    heads, shared: query heads and the key heads that they share.
    places, firsts: where tokens of several documents stand at one place of the row, as in :class:`Packed`.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        heads: int,
        shared: int,
        places: Tensor | None = None,
        firsts: Tensor | None = None,
    ) -> None:
        starts = [0, *accumulate(lengths)]
        places = torch.arange(starts[-1]) if places is None else places
        firsts = torch.arange(starts[-1]) if firsts is None else firsts
        self.batches: list[Batch] = []
        queries, keys = [], []
        for members in _alike(lengths):
            longest = max(lengths[document] for document in members)
            steps = torch.arange(longest)
            tokens = torch.stack([starts[document] + steps.clamp_max(lengths[document] - 1) for document in members])
            real = torch.stack([steps < lengths[document] for document in members])
            asked, read = (_by_head(places[tokens], number) for number in (heads, shared))
            self.batches.append(Batch(len(members), longest, asked, read, heads // shared))
            queries.append((_by_head(tokens, heads), _each_head(real, heads)))
            keys.append((_by_head(tokens, shared), _each_head(real, shared)))
        self.query_rows = sum(len(asked) for asked, _ in queries)
        self.key_rows = sum(len(read) for read, _ in keys)
        self.queries_back = _way_back(queries).view(-1, heads)[firsts].flatten()
        """int64 (T · H): the row of all batches' queries, one after another, that is each row of the states."""
        back = _way_back(keys).view(-1, shared)
        self.keys_back = back[firsts].flatten()
        """int64 (T · S): the same for keys and values, of the first document with that token."""
        others = torch.ones(starts[-1], dtype=torch.bool)
        others[firsts] = False
        self.more_keys = back[others].flatten()
        """Rows of the batches' keys that are of further documents with a token, and the rows of the states of each."""
        self.more_places = _by_head(places[others][:, None], shared)

    @cached_property
    def query_spans(self) -> list[slice]:
        """The rows of each batch among those of all."""
        return _spans([len(batch.queries) for batch in self.batches])

    @cached_property
    def key_spans(self) -> list[slice]:
        """The same for keys and values."""
        return _spans([len(batch.keys) for batch in self.batches])


def attend_on_cpu(query: Tensor, key: Tensor, value: Tensor, packed: Packed, *, scale: float | None) -> Tensor:
    """Return causal attention inside each document of ``packed``.

    ``query`` is (1, H, T, D), ``key`` and ``value`` (1, S, T, D); returns (1, T, H, D).
    """
    heads, shared = query.shape[1], key.shape[1]
    plan: Plan | None = packed.plans.get((heads, shared))
    if plan is None:  # made once for all layers
        plan = packed.plans[heads, shared] = Plan(
            packed.lengths, heads=heads, shared=shared, places=packed.places, firsts=packed.firsts
        )
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    return attend_batched(q, k, v, plan, scale=scale)[None]


def attend_batched(query: Tensor, key: Tensor, value: Tensor, plan: Plan, *, scale: float | None = None) -> Tensor:
    """Return causal attention inside each document.

    ``query`` is (T, H, D), ``key`` and ``value`` (T, S, D); returns (T, H, D). Scores and their normalization are
    float32, whatever the states are; ``scale`` is 1/√D unless it is given.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    found: Tensor = _Batched.apply(query, key, value, plan, scale)  # type: ignore[no-untyped-call]
    return found


class _Batched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: Plan, scale: float) -> Tensor:
        width, shared = query.shape[-1], key.shape[1]
        q, k, v = (states.reshape(-1, width) for states in (query, key, value))
        output = q.new_empty(plan.query_rows, width)
        saved = []
        for batch, span in zip(plan.batches, plan.query_spans, strict=True):
            groups = batch.count * shared
            asked = q.index_select(0, batch.queries).view(groups, -1, width)
            keys, values = (x.index_select(0, batch.keys).view(groups, batch.longest, width) for x in (k, v))
            found = output[span].view(groups, -1, width)
            for block in batch.blocks():
                weights = block.weights(block.of(asked), keys, scale)
                if block.whole:
                    torch.bmm(weights, values, out=found)
                else:
                    block.put(torch.bmm(weights, values[:, : block.end]), found)
            saved += [asked, keys, values]
        ctx.save_for_backward(*saved)
        ctx.plan, ctx.scale, ctx.shapes = plan, scale, (query.shape, key.shape)
        return output.index_select(0, plan.queries_back).view(query.shape)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        plan: Plan = ctx.plan
        asked_shape, key_shape = ctx.shapes
        width = asked_shape[-1]
        gradient = upstream[0].reshape(-1, width)
        arrived = gradient.new_zeros(plan.query_rows, width).index_copy_(0, plan.queries_back, gradient)
        of_query = gradient.new_empty(plan.query_rows, width)
        of_key, of_value = (gradient.new_empty(plan.key_rows, width) for _ in range(2))
        spans = zip(plan.batches, plan.query_spans, plan.key_spans, strict=True)
        saved = ctx.saved_tensors  # read once: what is made anew is given away when it is
        for place, (batch, rows, columns) in enumerate(spans):
            asked, keys, values = saved[3 * place : 3 * place + 3]
            found = of_query[rows].view_as(asked), of_key[columns].view_as(keys), of_value[columns].view_as(values)
            _batch_backward(batch, (asked, keys, values), arrived[rows].view_as(asked), found, scale=ctx.scale)
        of_query.mul_(ctx.scale)
        of_key.mul_(ctx.scale)
        return (
            of_query.index_select(0, plan.queries_back).view(asked_shape),
            _summed(of_key, plan).view(key_shape),
            _summed(of_value, plan).view(key_shape),
            None,
            None,
        )


def _batch_backward(
    batch: Batch,
    states: tuple[Tensor, Tensor, Tensor],
    above: Tensor,
    found: tuple[Tensor, Tensor, Tensor],
    *,
    scale: float,
) -> None:
    """Write the gradients of a batch's queries, keys and values (the first two without ``scale``) into ``found``."""
    asked, keys, values = states
    of_query, of_key, of_value = found
    # What all values have in common moves no score, and what all keys have no query: without it there is less
    # to cancel, which bfloat16 would do badly.
    apart_values, apart_keys = _centered(values), _centered(keys)
    if batch.longest > batch.block:  # several blocks add to the same keys
        wide = torch.promote_types(keys.dtype, torch.float32)
        sums = torch.zeros_like(keys, dtype=wide), torch.zeros_like(values, dtype=wide)
    for block in batch.blocks():
        mine, upstream = block.of(asked), block.of(above)
        weights = block.weights(mine, keys, scale)
        of_weights = torch.bmm(upstream, apart_values[:, : block.end].transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        if block.whole:
            torch.bmm(weights.transpose(1, 2), upstream, out=of_value)
            torch.bmm(of_scores, apart_keys, out=of_query)
            torch.bmm(of_scores.transpose(1, 2), mine, out=of_key)
        else:
            block.put(torch.bmm(of_scores, apart_keys[:, : block.end]), of_query)
            sums[0][:, : block.end] += torch.bmm(of_scores.transpose(1, 2), mine)
            sums[1][:, : block.end] += torch.bmm(weights.transpose(1, 2), upstream)
    if batch.longest > batch.block:
        of_key.copy_(sums[0])
        of_value.copy_(sums[1])


def _centered(states: Tensor) -> Tensor:
    mean = states.mean(1, keepdim=True, dtype=torch.promote_types(states.dtype, torch.float32))
    return (states - mean).to(states.dtype)


def _summed(of_keys: Tensor, plan: Plan) -> Tensor:
    """The gradient of each key of the row: the sum, in float32, over the documents that have it."""
    found = of_keys.index_select(0, plan.keys_back)
    if not len(plan.more_keys):
        return found
    total = found.to(torch.promote_types(found.dtype, torch.float32))
    return total.index_add_(0, plan.more_places, of_keys.index_select(0, plan.more_keys).to(total.dtype)).to(
        found.dtype
    )


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """The documents in batches of about the same length, the shortest first."""
    found: list[list[int]] = []
    for document in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if not found or lengths[document] - lengths[found[-1][0]] > _filling(lengths[found[-1][0]]):
            found.append([])
        found[-1].append(document)
    return found


def _filling(shortest: int) -> float:
    return min(MOST_FILLING * shortest + 8, LARGEST_FILLING)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """Rows of states (tokens · heads, D), by document, head and token; of tokens (B, L)."""
    return (tokens[:, None] * heads + torch.arange(heads)[:, None]).flatten()


def _each_head(real: Tensor, heads: int) -> Tensor:
    return real[:, None].expand(len(real), heads, real.shape[1]).flatten()


def _way_back(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    rows, real = (torch.cat(part) for part in zip(*parts, strict=True))
    places = real.nonzero(as_tuple=True)[0]
    back = torch.empty_like(places)
    back[rows[places]] = places
    return back


def _spans(sizes: Sequence[int]) -> list[slice]:
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
