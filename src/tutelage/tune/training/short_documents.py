"""Attention of many short documents on a CPU: padded into batches for this alone, two matrix products a batch.

torch's kernel works through one document after the other, and short ones leave most of it idle. Here documents of
about the same length share a batch; what fills it up stands behind a document's last token, so under the causal mask no
token of the document sees it: the result is exact. Key heads are shared by their query heads inside one product, and
never copied.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from tutelage.tune.training.batches import Packed

OneByOne = Callable[[Tensor, Tensor, Tensor, Sequence[int]], Tensor]
LONGEST = 512
"""Tokens of a document up to which the scores of a batch (heads × length²), which are made anew on the way back, are
no great matter."""

MOST_FILLING = 1.25
"""How many times as long as the shortest document of a batch its longest may be, beyond 8 tokens."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B documents of at most L tokens, S key heads of G query heads each.

    ``queries`` int64 (B · S · G · L) and ``keys`` int64 (B · S · L) are rows of the states laid out as (T · heads, D);
    filling repeats a document's last token. ``mask`` float32 (G · L, L) is added to the scores.
    """

    count: int
    longest: int
    queries: Tensor
    keys: Tensor
    mask: Tensor


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
            future = torch.full((longest, longest), -math.inf).triu(1).repeat(heads // shared, 1)
            asked, read = (_by_head(places[tokens], number) for number in (heads, shared))
            self.batches.append(Batch(len(members), longest, asked, read, future))
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


def attend_on_cpu(
    query: Tensor, key: Tensor, value: Tensor, packed: Packed, *, scale: float | None, others: OneByOne
) -> Tensor:
    """Return causal attention inside each document of ``packed``: short ones in batches, ``others`` for the long.

    ``query`` is (1, H, T, D), ``key`` and ``value`` (1, S, T, D); returns (1, T, H, D). ``others`` takes such states of
    some documents end to end, with their lengths.
    """
    heads, shared = query.shape[1], key.shape[1]
    long = [length for length in packed.lengths if length > LONGEST]
    if not long:
        q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
        return attend_short(q, k, v, _plan_of(packed, heads=heads, shared=shared), scale=scale)[None]
    near, far = _by_length(packed.lengths)
    query, key, value = (packed.spread(states, 2) for states in (query, key, value))
    found = others(query.index_select(2, far), key.index_select(2, far), value.index_select(2, far), long)
    if len(near):
        q, k, v = (states[0].index_select(1, near).transpose(0, 1) for states in (query, key, value))
        short = attend_short(q, k, v, _plan_of(packed, heads=heads, shared=shared), scale=scale)
        back = torch.empty(len(near) + len(far), dtype=torch.int64)
        back[torch.cat([near, far])] = torch.arange(len(back))
        found = torch.cat([short[None], found], dim=1).index_select(1, back)
    return packed.collect(found, 1)


def _plan_of(packed: Packed, *, heads: int, shared: int) -> Plan:
    """The plan of the short documents, made once for all layers; beside long ones nothing is shared with them."""
    plan: Plan | None = packed.plans.get((heads, shared))
    if plan is None:
        short = [length for length in packed.lengths if length <= LONGEST]
        alone = len(short) < len(packed.lengths)
        places, firsts = (None, None) if alone else (packed.places, packed.firsts)
        plan = packed.plans[heads, shared] = Plan(short, heads=heads, shared=shared, places=places, firsts=firsts)
    return plan


def _by_length(lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The tokens of short and of long documents that lie end to end."""
    short = torch.repeat_interleave(torch.tensor([length <= LONGEST for length in lengths]), torch.tensor(lengths))
    return short.nonzero(as_tuple=True)[0], (~short).nonzero(as_tuple=True)[0]


def attend_short(query: Tensor, key: Tensor, value: Tensor, plan: Plan, *, scale: float | None = None) -> Tensor:
    """Return causal attention inside each document.

    ``query`` is (T, H, D), ``key`` and ``value`` (T, S, D); returns (T, H, D). Scores and their normalization are
    float32, whatever the states are; ``scale`` is 1/√D unless it is given.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    found: Tensor = _Short.apply(query, key, value, plan, scale)  # type: ignore[no-untyped-call]
    return found


class _Short(torch.autograd.Function):
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
            torch.bmm(_weights(asked, keys, batch, scale), values, out=output[span].view(groups, -1, width))
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
        for place, (batch, rows, columns) in enumerate(spans):
            asked, keys, values = ctx.saved_tensors[3 * place : 3 * place + 3]
            weights = _weights(asked, keys, batch, ctx.scale)
            above = arrived[rows].view_as(asked)
            torch.bmm(weights.transpose(1, 2), above, out=of_value[columns].view_as(values))
            # What all values have in common moves no score, and what all keys have no query: without it there is less
            # to cancel, which bfloat16 would do badly.
            of_weights = torch.bmm(above, _centered(values).transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            torch.bmm(of_scores, _centered(keys), out=of_query[rows].view_as(asked))
            torch.bmm(of_scores.transpose(1, 2), asked, out=of_key[columns].view_as(keys))
        of_query.mul_(ctx.scale)
        of_key.mul_(ctx.scale)
        return (
            of_query.index_select(0, plan.queries_back).view(asked_shape),
            _summed(of_key, plan).view(key_shape),
            _summed(of_value, plan).view(key_shape),
            None,
            None,
        )


def _weights(asked: Tensor, keys: Tensor, batch: Batch, scale: float) -> Tensor:
    """The weights (B · S, G · L, L) of a batch, normalized in float32."""
    scores = torch.baddbmm(batch.mask, asked.float(), keys.float().transpose(1, 2), alpha=scale)
    return torch.softmax(scores, -1).to(asked.dtype)


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
        if not found or lengths[document] > MOST_FILLING * lengths[found[-1][0]] + 8:
            found.append([])
        found[-1].append(document)
    return found


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
