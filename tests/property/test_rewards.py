"""Rewards of packed documents are those that transformers reads of each alone; losses and gradients are the papers'."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from tutelage.models.rewards import with_reward_head
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import RewardObjective
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod, Method
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import build_objective
from tutelage.tune.reference import Reference
from tutelage.tune.rewards import rewards_of
from tutelage.tune.rows import Pair
from tutelage.tune.training.attention import connect
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Accumulated, Batch, accumulate

CONNECTED = ExitStack()
METHODS: dict[str, Method] = {"full": FullMethod(kind="full"), "lora": LoraMethod(kind="lora", r=4)}
SEED = 2
PAD = 0
SECTION = RewardObjective(kind="reward", margin=0.3, center=0.05)
Tokens = st.lists(st.integers(PAD, 3), min_size=2, max_size=12)
"""Of four tokens, so that documents often begin alike, one is the beginning of another, and some end in padding."""
Rows = st.lists(st.tuples(Tokens, Tokens, st.sampled_from([0.0, 0.0, 0.7])), min_size=1, max_size=5)


@pytest.fixture(scope="module", autouse=True)
def connected() -> Iterator[None]:
    """What is connected stays so until the last test."""
    with CONNECTED:
        yield
    prepared.cache_clear()


@cache
def prepared(kind: str) -> tuple[Network, Optimizer]:
    """A reward model under each method, connected."""
    bundle = with_reward_head(tiny_model(), seed=SEED)
    assert bundle.model.config.pad_token_id == PAD
    tuned = build_method(METHODS[kind])(bundle, 0)
    with torch.no_grad():  # B begins at zero, and so would the gradient of A; and rewards are small in the beginning
        for number, (name, weight) in enumerate(tuned.parameters.items()):
            if "lora" in name:
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) * 0.05)
            if "score" in name:
                weight.mul_(10)
    return CONNECTED.enter_context(connect(tuned.model)), Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))


@cache
def alone() -> PreTrainedModel:
    """The fully tuned one once more, with its own attention."""
    model = with_reward_head(tiny_model(), seed=SEED).model
    with torch.no_grad():
        model.get_parameter("score.weight").mul_(10)
    return model


def encoded(ids: list[int]) -> Encoded:
    return Encoded(np.array(ids, dtype=np.int32), np.arange(len(ids)) > 0)


def plain(documents: Sequence[Encoded]) -> Tensor:
    """Rewards as transformers gives them, one document at a time."""
    return torch.cat([alone()(input_ids=torch.tensor(one.ids)[None].long()).logits[0] for one in documents])


def pairs(rows: list[tuple[list[int], list[int], float]]) -> list[Pair]:
    return [Pair(encoded(first), encoded(second), margin) for first, second, margin in rows]


def step(rows: list[Pair], kind: str, limit: int) -> tuple[Accumulated, dict[str, Tensor]]:
    network, optimizer = prepared(kind)
    batch = Batch(1, build_objective(SECTION, Reference()), range(len(rows)), rows)
    done = accumulate(network, [batch], optimizer=optimizer, limit=limit, seed=0)
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    optimizer.discard()
    return done, found


@given(st.lists(Tokens, min_size=1, max_size=6), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_packed_rewards_are_those_of_transformers_one_by_one(texts: list[list[int]], limit: int) -> None:
    network, _ = prepared("full")
    assert (network.backend, network.shares, network.reads) == ("documents", True, "reward")
    documents = [encoded(ids) for ids in texts]
    found = torch.cat([rewards for _, rewards in rewards_of(documents, network, limit)])
    with torch.no_grad():
        torch.testing.assert_close(found, plain(documents), rtol=1e-5, atol=1e-5)


@given(Rows, st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_loss_and_gradient_are_those_of_the_papers(rows: list[tuple[list[int], list[int], float]], limit: int) -> None:
    given_pairs = pairs(rows)
    done, found = step(given_pairs, "full", limit)
    won, lost = (plain([getattr(pair, name) for pair in given_pairs]) for name in ("chosen", "rejected"))
    margins = torch.tensor([0.3 + pair.margin for pair in given_pairs])
    expected = (torch.log(1 + torch.exp(margins - won + lost)) + 0.05 * (won + lost) ** 2).mean()
    (batch,) = done.batches
    assert batch.loss == pytest.approx(expected.item(), rel=2e-5, abs=1e-6)
    if ((won - lost).abs() > 1e-5).all():  # else rounding decides which is higher
        assert batch.told["accuracy"] == pytest.approx((won > lost).float().mean().item())
    assert batch.told["margin"] == pytest.approx((won - lost).mean().item(), rel=1e-4, abs=1e-5)
    assert batch.told["chosen"] == pytest.approx(won.mean().item(), rel=1e-4, abs=1e-5)
    assert batch.told["rejected"] == pytest.approx(lost.mean().item(), rel=1e-4, abs=1e-5)
    gradients = torch.autograd.grad(expected, [alone().get_parameter(name) for name in found])
    for (name, gradient), plainly in zip(found.items(), gradients, strict=True):
        torch.testing.assert_close(gradient, plainly, rtol=2e-3, atol=5e-6, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("kind", METHODS)
@given(Rows, st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_any_split_gives_the_same(kind: str, rows: list[tuple[list[int], list[int], float]], limit: int) -> None:
    whole, expected = step(pairs(rows), kind, 10_000)
    split, found = step(pairs(rows), kind, limit)
    assert whole.micro_batches == 1
    assert split.batches[0].loss == pytest.approx(whole.batches[0].loss, rel=1e-5)
    assert any("score" in name for name in found)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6)


def test_a_reward_model_has_no_layer_of_logits() -> None:
    bundle = tiny_model()
    model = with_reward_head(bundle, seed=0).model
    vocabulary = len(bundle.tokenizer)
    assert model.get_output_embeddings() is None
    wide = [name for name, module in model.named_modules() if getattr(module, "out_features", 0) == vocabulary]
    assert wide == []
