"""Attention of documents in batches and blocks equals one attention a document: values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tutelage.tune.training import cpu_attention
from tutelage.tune.training.cpu_attention import Plan, attend_batched

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


@pytest.mark.parametrize("block", [256, 7, 1])
@given(Lengths, Heads, st.sampled_from([None, 0.3]), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_values_and_gradients_are_those_of_each_document_alone(
    block: int, lengths: list[int], heads: tuple[int, int], scale: float | None, seed: int
) -> None:
    inputs = states(sum(lengths), *heads, seed)
    plan = Plan(lengths, heads=heads[0], shared=heads[1])
    expected = one_by_one(*inputs, lengths, scale)
    upstream = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_attention, "BLOCK", block)
        patch.setattr(cpu_attention, "LEAST_BLOCK", 1)
        found = attend_batched(*inputs, plan, scale=scale)
        # scores are float32 whatever the states are
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        gradients = [torch.autograd.grad(output, inputs, upstream) for output in (found, expected)]
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
        assert batch.longest == members[-1] <= (1 + cpu_attention.MOST_FILLING) * members[0] + 8
    assert left == []


def test_blocks_bound_the_scores_of_long_documents() -> None:
    (batch,) = Plan([5000, 4990], heads=8, shared=2).batches
    blocks = list(batch.blocks())
    assert [blocks[0].first, *(block.end for block in blocks)] == [*(block.first for block in blocks), 5000]
    assert all(2 * 8 * (block.end - block.first) * 5000 <= cpu_attention.SCORES for block in blocks)
    (short,) = Plan([30, 31], heads=8, shared=2).batches
    assert [block.whole for block in short.blocks()] == [True]


def test_nothing_but_queries_keys_and_values_is_kept_of_a_long_document() -> None:
    inputs = states(700, 4, 2, 0, torch.float32)
    plan = Plan([700], heads=4, shared=2)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda saved: kept.append(saved.numel()) or saved, lambda saved: saved
    ):
        attend_batched(*inputs, plan)
    assert sum(kept) == 700 * (4 + 2 + 2) * 8


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
    found = torch.autograd.grad(attend_batched(*rough, plan), rough, upstream)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() < 0.02 * theirs.norm()
