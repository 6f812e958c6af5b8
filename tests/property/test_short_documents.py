"""Attention of short documents in batches equals one attention a document: values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tutelage.tune.training import short_documents
from tutelage.tune.training.attention import _attend_one_by_one
from tutelage.tune.training.batches import Packed
from tutelage.tune.training.short_documents import Plan, attend_on_cpu, attend_short

Lengths = st.lists(st.integers(1, 40), min_size=1, max_size=9)
Heads = st.sampled_from([(1, 1), (4, 4), (6, 2), (9, 3)])


def states(tokens: int, heads: int, shared: int, seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(tokens, heads, 8), (tokens, shared, 8), (tokens, shared, 8)]
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def one_by_one(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float | None) -> Tensor:
    parts = []
    for q, k, v in zip(*(torch.split(x, lengths) for x in (query, key, value)), strict=True):
        by_head = (x.transpose(0, 1)[None] for x in (q, k, v))
        found = scaled_dot_product_attention(*by_head, is_causal=True, scale=scale, enable_gqa=True)
        parts.append(found[0].transpose(0, 1))
    return torch.cat(parts)


@given(Lengths, Heads, st.sampled_from([None, 0.3]), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_values_and_gradients_are_those_of_each_document_alone(
    lengths: list[int], heads: tuple[int, int], scale: float | None, seed: int
) -> None:
    inputs = states(sum(lengths), *heads, seed)
    plan = Plan(lengths, heads=heads[0], shared=heads[1])
    found, expected = attend_short(*inputs, plan, scale=scale), one_by_one(*inputs, lengths, scale)
    upstream = torch.randn_like(expected)
    # scores are float32 whatever the states are
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    gradients = (torch.autograd.grad(output, inputs, upstream) for output in (found, expected))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@given(Lengths)
@settings(max_examples=60, deadline=None)
def test_every_token_has_one_place_and_batches_are_hardly_filled_up(lengths: list[int]) -> None:
    plan = Plan(lengths, heads=4, shared=2)
    rows = torch.cat([batch.queries for batch in plan.batches])
    assert torch.equal(rows[plan.queries_back], torch.arange(4 * sum(lengths)))
    keys = torch.cat([batch.keys for batch in plan.batches])
    assert torch.equal(keys[plan.keys_back], torch.arange(2 * sum(lengths)))
    left = sorted(lengths)
    for batch in plan.batches:
        members, left = left[: batch.count], left[batch.count :]
        assert batch.longest == members[-1] <= short_documents.MOST_FILLING * members[0] + 8
    assert left == []


def test_what_all_values_and_keys_have_in_common_costs_no_precision() -> None:
    exact = states(60, 4, 2, 0)
    with torch.no_grad():
        exact[1] += 8
        exact[2] += 8
    rough = [x.detach().bfloat16().requires_grad_() for x in exact]
    exact = [x.detach().double().requires_grad_() for x in rough]
    plan = Plan([25, 35], heads=4, shared=2)
    upstream = torch.randn(60, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = torch.autograd.grad(one_by_one(*exact, [25, 35], None), exact, upstream.double())
    found = torch.autograd.grad(attend_short(*rough, plan), rough, upstream)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() < 0.02 * theirs.norm()


def test_long_documents_among_short_ones_go_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_documents, "LONGEST", 10)
    lengths = [12, 3, 10, 30, 7]
    inputs = states(sum(lengths), 4, 2, 0, torch.float32)
    as_transformers = [x.transpose(0, 1)[None] for x in inputs]
    packed = Packed(*[torch.empty(0)] * 2, tuple(lengths), *[torch.empty(0)] * 5)
    asked: list[list[int]] = []

    def others(query: Tensor, key: Tensor, value: Tensor, long: list[int]) -> Tensor:
        asked.append(list(long))
        return _attend_one_by_one(query, key, value, long, window=None, scaling=None, dropout=0.0)

    found = attend_on_cpu(*as_transformers, packed, scale=None, others=others)[0]
    expected = one_by_one(*inputs, lengths, None)
    upstream = torch.randn_like(expected)
    assert asked == [[12, 30]]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    gradients = (torch.autograd.grad(output, inputs, upstream) for output in (found, expected))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(short_documents, "LONGEST", 2)
    attend_on_cpu(*as_transformers, packed, scale=None, others=others)
    assert asked[1:] == [lengths]
