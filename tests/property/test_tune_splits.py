"""The same rows give the same loss and the same gradient, however they are split into micro-batches
and over processes."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import Average
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import Sft
from tutelage.tune.training.attention import connect
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.processes import Processes, Value, shares
from tutelage.tune.training.step import Accumulated, Batch, accumulate

CONNECTED = ExitStack()
"""Kept: a connection that nobody holds ends, and the model has its own attention again."""
METHODS = {"lora": LoraMethod(kind="lora", r=4), "full": FullMethod(kind="full")}


@cache
def prepared(kind: str) -> tuple[Network, Optimizer, int]:
    """A tuned tiny model, connected for the life of the test process, with its optimizer and vocabulary."""
    bundle = tiny_model()
    tuned = build_method(METHODS[kind])(bundle, 0)
    if kind == "lora":  # B starts at zero, which leaves A without a gradient
        with torch.no_grad():
            for number, weight in enumerate(tuned.parameters.values()):
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) * 0.05)
    network = CONNECTED.enter_context(connect(tuned.model))
    return network, Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw")), len(bundle.tokenizer)


def documents(lengths: list[int], seed: int, vocabulary: int) -> list[Encoded]:
    generator = np.random.default_rng(seed)
    found = []
    for length in lengths:
        targets = generator.random(length) < 0.5
        targets[-1] = True
        found.append(Encoded(ids=generator.integers(0, vocabulary, length).astype(np.int32), targets=targets))
    return found


def gradients(
    rows: list[Encoded], kind: str, limit: int, average: Average = "token"
) -> tuple[Accumulated, dict[str, Tensor]]:
    network, optimizer, _ = prepared(kind)
    batch = Batch(1, Sft(average), range(len(rows)), rows)
    done = accumulate(network, [batch], optimizer=optimizer, limit=limit, seed=0)
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    optimizer.discard()
    return done, found


@pytest.mark.parametrize("kind", METHODS)
@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=8),
    st.integers(1, 120),
    st.integers(0, 99),
    st.sampled_from(get_args(Average)),
)
@settings(max_examples=25, deadline=None)
def test_any_split_gives_the_same(kind: str, lengths: list[int], limit: int, seed: int, average: Average) -> None:
    rows = documents(lengths, seed, prepared(kind)[2])
    whole, expected = gradients(rows, kind, 10_000, average)
    split, found = gradients(rows, kind, limit, average)
    assert whole.micro_batches == 1
    assert split.batches[0].loss == pytest.approx(whole.batches[0].loss, rel=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6)


class OneOfMany(Processes):
    """A process whose part alone is looked at: it hears nothing of the others."""

    def gather(self, value: Value) -> list[Value]:
        return [value]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Leave them."""


@pytest.mark.parametrize("kind", METHODS)
@given(
    st.lists(st.integers(2, 40), min_size=1, max_size=8),
    st.integers(1, 120),
    st.integers(1, 5),
    st.integers(0, 99),
    st.sampled_from(get_args(Average)),
)
@settings(max_examples=25, deadline=None)
def test_any_number_of_processes_gives_the_same(
    kind: str, lengths: list[int], limit: int, count: int, seed: int, average: Average
) -> None:
    network, optimizer, vocabulary = prepared(kind)
    rows = documents(lengths, seed, vocabulary)
    whole, expected = gradients(rows, kind, 10_000, average)
    batch = Batch(1, Sft(average), range(len(rows)), rows)
    parts = [
        accumulate(network, [batch], optimizer=optimizer, limit=limit, seed=0, processes=OneOfMany(rank, count))
        for rank in range(count)
    ]
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    optimizer.discard()
    assert sum(part.batches[0].loss for part in parts) == pytest.approx(whole.batches[0].loss, rel=1e-5)
    assert {part.batches[0].target_tokens for part in parts} == {whole.batches[0].target_tokens}
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6)


@given(st.lists(st.integers(1, 99), max_size=12), st.integers(1, 6))
def test_shares_are_a_partition_and_even(sizes: list[int], count: int) -> None:
    found = shares(sizes, count)
    assert len(found) == count
    assert sorted(index for share in found for index in share) == list(range(len(sizes)))
    assert all(share == sorted(share) for share in found)
    tokens = [sum(sizes[index] for index in share) for share in found]
    assert max(tokens) - min(tokens) <= max(sizes, default=0)


@given(st.lists(st.integers(2, 40), min_size=2, max_size=8), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_averages_are_those_of_each_row_alone(lengths: list[int], seed: int) -> None:
    rows = documents(lengths, seed, prepared("lora")[2])
    counts = [int(row.targets[1:].sum()) for row in rows]
    means = [gradients([row], "lora", 10_000)[0].batches[0].loss for row in rows]

    def expected(weights: list[float]) -> float:
        return sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights)

    weights: dict[Average, list[float]] = {
        "token": [float(n) for n in counts],
        "square": [math.sqrt(n) for n in counts],
        "row": [1.0 for _ in counts],
    }
    for average, by_row in weights.items():
        assert gradients(rows, "lora", 60, average)[0].batches[0].loss == pytest.approx(expected(by_row), rel=1e-5)
