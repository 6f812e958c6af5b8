"""Divergences between teacher and student: values by hand, gradients by autograd, and what must hold of any two."""

import math
from typing import Literal, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tutelage.tune.divergences import OfLikely, OfWhole

Kind = Literal["forward", "reverse", "jsd"]
WHOLE = slice(0, 99)


def logits(seed: int, count: int, vocabulary: int) -> Tensor:
    return torch.randn(count, vocabulary, generator=torch.Generator().manual_seed(seed)) * 2


def by_hand(kind: Kind, student: list[float], teacher: list[float], *, beta: float, temperature: float) -> float:
    def softmax(values: list[float]) -> list[float]:
        raised = [math.exp(value / temperature) for value in values]
        return [value / sum(raised) for value in raised]

    def kl(p: list[float], q: list[float]) -> float:
        return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    s, t = softmax(student), softmax(teacher)
    if kind == "forward":
        return kl(t, s)
    if kind == "reverse":
        return kl(s, t)
    m = [beta * b + (1 - beta) * a for a, b in zip(s, t, strict=True)]
    return beta * kl(t, m) + (1 - beta) * kl(s, m)


@pytest.mark.parametrize("kind", get_args(Kind))
@given(
    st.integers(1, 4), st.integers(2, 9), st.integers(0, 99), st.floats(0.05, 0.95), st.sampled_from([0.5, 1.0, 2.5])
)
@settings(max_examples=25, deadline=None)
def test_values_and_slopes(kind: Kind, count: int, vocabulary: int, seed: int, beta: float, temperature: float) -> None:
    student, teacher = logits(seed, count, vocabulary), logits(seed + 1, count, vocabulary)
    head = nn.Linear(vocabulary, vocabulary, bias=False)
    nn.init.eye_(head.weight)
    for states, layer in ((teacher, None), (teacher, head)):
        loss = OfWhole(states, layer, divergence=kind, beta=beta, temperature=temperature)
        found = loss(student, WHOLE)
        expected = [
            by_hand(kind, student[at].tolist(), teacher[at].tolist(), beta=beta, temperature=temperature)
            for at in range(count)
        ]
        assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)
        leaf = student.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(loss(leaf, WHOLE).sum(), leaf)
        again, closed = loss.with_slopes(student.clone(), WHOLE)
        torch.testing.assert_close(again, found, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(closed, slopes, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 4), st.integers(3, 9), st.integers(0, 99), st.sampled_from([1.0, 2.5]))
@settings(max_examples=25, deadline=None)
def test_the_likely_tokens_bound_the_whole(count: int, vocabulary: int, seed: int, temperature: float) -> None:
    student, teacher = (logits(seed + at, count, vocabulary) / 2 for at in (0, 1))
    whole = OfWhole(teacher, None, temperature=temperature)(student, WHOLE)
    before = torch.zeros(count)
    for kept in range(1, vocabulary):
        found = (teacher / temperature).log_softmax(-1).topk(kept, dim=-1)
        loss = OfLikely(found.indices, found.values, temperature=temperature)
        values = loss(student, WHOLE)
        assert (values >= before - 1e-4).all(), "more tokens tell more"
        assert (values <= whole + 1e-4).all()
        leaf = student.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(loss(leaf, WHOLE).sum(), leaf)
        torch.testing.assert_close(loss.with_slopes(student.clone(), WHOLE)[1], slopes, rtol=2e-3, atol=2e-4)
        before = values
    torch.testing.assert_close(before, whole, rtol=1e-3, atol=1e-3)  # all but one are kept: nothing is lumped together


@pytest.mark.parametrize("kind", get_args(Kind))
def test_alike_cost_nothing(kind: Kind) -> None:
    same = logits(0, 3, 20)
    losses, slopes = OfWhole(same, None, divergence=kind).with_slopes(same.clone(), WHOLE)
    torch.testing.assert_close(losses, torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(slopes, torch.zeros(3, 20), rtol=0, atol=1e-6)
