"""The chunked loss that computes gradients forward equals the plain one: values and gradients."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tutelage.tune.training import losses
from tutelage.tune.training.losses import CrossEntropies, position_losses

VOCABULARY = 37


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Iterator[None]:
    """Five positions a chunk, so that rows cross chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "CHUNK_BYTES", 4 * VOCABULARY * 5)
        yield


def problem(count: int, seed: int, trains_head: bool) -> tuple[Tensor, Tensor, nn.Linear, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    head = nn.Linear(8, VOCABULARY)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    head.requires_grad_(trains_head)
    hidden = torch.randn(count, 8, generator=generator, requires_grad=True)
    targets = torch.randint(VOCABULARY, (count,), generator=generator)
    return hidden, targets, head, torch.randn(count, generator=generator)


@given(st.integers(1, 23), st.integers(0, 1000), st.booleans(), st.sampled_from([0.0, 0.1, 0.9]))
@settings(max_examples=60, deadline=None)
def test_equals_plain_cross_entropy(count: int, seed: int, trains_head: bool, smoothing: float) -> None:
    hidden, targets, head, upstream = problem(count, seed, trains_head)
    wanted = [hidden, *(head.parameters() if trains_head else ())]
    plain = cross_entropy(head(hidden), targets, reduction="none", label_smoothing=smoothing)
    expected = torch.autograd.grad((plain * upstream).sum(), wanted)
    ours = position_losses(hidden, CrossEntropies(targets, smoothing), head=head)
    found = torch.autograd.grad((ours * upstream).sum(), wanted)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_without_gradients_it_is_the_same_number() -> None:
    hidden, targets, head, _ = problem(12, 0, False)
    with torch.no_grad():
        found = position_losses(hidden, CrossEntropies(targets), head=head)
    assert not found.requires_grad
    torch.testing.assert_close(found, cross_entropy(head(hidden.detach()), targets, reduction="none"))


def test_softmax_is_float32_for_bfloat16_logits() -> None:
    hidden, targets, head, _ = problem(12, 0, False)
    half, half_head = hidden.detach().bfloat16(), head.bfloat16()
    expected = cross_entropy(half_head(half).float(), targets, reduction="none")
    found = position_losses(half, CrossEntropies(targets), head=half_head)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_nothing_to_learn_costs_nothing() -> None:
    hidden, targets, head, _ = problem(0, 0, False)
    assert position_losses(hidden, CrossEntropies(targets), head=head).shape == (0,)
