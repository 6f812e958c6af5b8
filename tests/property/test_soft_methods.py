"""Prefix and prompt tuning packed: the logits, losses and gradients are PEFT's, one document at a time."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.soft_peer import COUNT, KINDS, METHODS, bundle_of, documents, logits_of, losses_of, peft_of
from torch import Tensor
from transformers import LlamaForCausalLM

from tutelage.errors import ModelError, TrainingError
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod
from tutelage.tune.methods import build_method, learned_before
from tutelage.tune.objectives import Sft
from tutelage.tune.training import cpu_attention
from tutelage.tune.training.attention import connect, plain_logits
from tutelage.tune.training.batches import Packed
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Batch, accumulate
from tutelage.tune.training.virtual import LearnedPrefix, LearnedPrompt

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
SEED = 3
LENGTHS = (9, 14, 6, 23)


def outcome(losses: Tensor, parameters: list[torch.nn.Parameter]) -> list[Tensor]:
    weights = torch.linspace(0.5, 1.5, len(losses))
    return [losses.detach(), *torch.autograd.grad((losses * weights).sum(), parameters)]


@pytest.mark.parametrize("block", [256, 12])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_of_a_packed_row_are_those_of_peft(
    kind: str, name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_attention, "BLOCK", block)
    monkeypatch.setattr(cpu_attention, "LEAST_BLOCK", 1)
    rows = documents(LENGTHS)
    peft = peft_of(bundle_of(kind).model, METHODS[name], seed=SEED)
    expected = outcome(torch.cat([losses_of(peft, row) for row in rows]), list(peft.prompt_encoder.parameters()))
    bundle = bundle_of(kind)
    tuned = build_method(METHODS[name])(bundle, SEED)
    with connect(tuned.model, learned_before(tuned)) as network:
        assert network.backend == "documents"
        packed = network.pack(rows)
        assert packed.ids.shape[1] == COUNT + sum(LENGTHS) - 3 * (len(LENGTHS) - 1), "what is alike stands once"
        found = outcome(network.predict(packed).token_losses(), list(tuned.parameters.values()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in bundle.model.parameters())
    tuned.release()
    assert all(parameter.requires_grad for parameter in bundle.model.parameters()), "as they came"


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_peft(kind: str, name: str) -> None:
    rows = documents(LENGTHS)
    peft = peft_of(bundle_of(kind).model, METHODS[name], seed=SEED)
    tuned = build_method(METHODS[name])(bundle_of(kind), SEED)
    with torch.no_grad(), connect(tuned.model, learned_before(tuned)) as network:
        whole = [Encoded(row.ids, np.ones(len(row), dtype=np.bool_)) for row in rows]
        expected = torch.cat([logits_of(peft, row)[:-1] for row in rows])
        torch.testing.assert_close(network.logits(network.pack(whole)), expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        for row in rows:
            ids = torch.as_tensor(row.ids, dtype=torch.int64)[None]
            plain = plain_logits(tuned.model, ids, learned_before(tuned))
            torch.testing.assert_close(plain, logits_of(peft, row), rtol=1e-5, atol=1e-5)


class Own(LlamaForCausalLM):
    """A model whose attention transformers must not replace."""

    @classmethod
    def is_backend_compatible(cls) -> bool:
        return False


def test_the_models_own_attention_takes_a_prompt_and_no_prefix() -> None:
    rows = documents(LENGTHS)
    bundle = bundle_of("tiny")
    expected = torch.cat([losses_of(peft_of(bundle.model, METHODS["prompt"], seed=SEED), row) for row in rows])
    own = Own(bundle.model.config)
    own.load_state_dict(bundle.model.state_dict())
    other = replace(bundle, model=own.eval())
    tuned = build_method(METHODS["prompt"])(other, SEED)
    with connect(tuned.model, learned_before(tuned)) as network:
        assert (network.backend, network.shares) == ("mask", False)
        packed = network.pack(rows)
        assert packed.ids.shape[1] == sum(LENGTHS) + COUNT * len(LENGTHS)
        torch.testing.assert_close(network.predict(packed).token_losses(), expected, rtol=1e-5, atol=1e-5)
    tuned = build_method(METHODS["prefix"])(other, SEED)
    with (
        pytest.raises(ModelError, match=r"^Own: a learned prefix cannot be put.*Take method: \{kind: prompt\}"),
        connect(tuned.model, learned_before(tuned)),
    ):
        pass


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_what_begins_as_a_text_computes_as_if_the_text_stood_there(kind: str, method: str) -> None:
    bundle = bundle_of(kind)
    ids = bundle.tokenizer("garden")["input_ids"]
    assert isinstance(ids, list)
    asked = {"kind": method, "tokens": 2 * len(ids) + 1, "init": "text", "text": "garden"}
    section = (PromptMethod if method == "prompt" else PrefixMethod).model_validate(asked)
    tuned = build_method(section)(bundle, SEED)
    text = torch.tensor([[5, 9, 200, 7]])
    whole = torch.cat([torch.tensor([[*ids, *ids, ids[0]]]), text], dim=1)
    with torch.no_grad():
        expected = bundle.model(input_ids=whole).logits[0, -4:]
        found = plain_logits(bundle.model, text, learned_before(tuned))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_prefix_of_the_vocabulary_is_what_the_model_makes_of_tokens() -> None:
    bundle = bundle_of("grouped heads")
    tuned = build_method(PrefixMethod(kind="prefix", tokens=4))(bundle, SEED)
    with torch.no_grad():
        text = torch.tensor([[5, 9, 200, 7]])
        found = plain_logits(bundle.model, text, learned_before(tuned))
        base = bundle.model(input_ids=text).logits[0]
        assert (found - base).abs().max() > 1e-2
        spread = tuned.parameters["embedding.weight"].std()
        assert 0 < spread < 10
    again = build_method(PrefixMethod(kind="prefix", tokens=4))(bundle, SEED)
    assert torch.equal(again.parameters["embedding.weight"], tuned.parameters["embedding.weight"])


@pytest.fixture(scope="module", params=METHODS)
def connected(request: pytest.FixtureRequest) -> Iterator[tuple[Network, Optimizer]]:
    """The network of a method on the tiny model, and its optimizer."""
    tuned = build_method(METHODS[request.param])(tiny_model(), SEED)
    with connect(tuned.model, learned_before(tuned)) as network:
        yield network, Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))


@given(st.lists(st.integers(2, 40), min_size=2, max_size=8), st.integers(1, 150), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_any_split_gives_the_same(
    connected: tuple[Network, Optimizer], lengths: list[int], limit: int, seed: int
) -> None:
    network, optimizer = connected
    rows = documents(lengths, seed=seed, alike=min(lengths))
    batch = Batch(1, Sft(), range(len(rows)), rows)
    outcomes = []
    for size in (10_000, limit):
        done = accumulate(network, [batch], optimizer=optimizer, limit=size, seed=0)
        gradients = [one.grad for one in optimizer.masters.values() if one.grad is not None]
        outcomes.append([torch.tensor(done.batches[0].loss), *gradients])
        assert len(gradients) == len(optimizer.masters)
        optimizer.discard()
        assert done.micro_batches == 1 or size == limit
        assert done.batches[0].tokens == sum(lengths), "virtual tokens are none of the rows'"
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-6)


def test_noise_is_that_of_the_documents_own_embeddings(connected: tuple[Network, Optimizer]) -> None:
    network, optimizer = connected
    heard: list[tuple[Packed, Tensor | None]] = []

    def hidden(packed: Packed, noise: Tensor | None = None) -> Tensor:
        heard.append((packed, noise))
        return network.hidden(packed, noise)

    rows = documents((40, 90))
    losses = [
        accumulate(
            replace(network, hidden=hidden),
            [Batch(1, Sft(alpha=alpha), range(2), rows)],
            optimizer=optimizer,
            limit=1000,
            seed=1,
        )
        .batches[0]
        .loss
        for alpha in (5.0, 0.0)
    ]
    optimizer.discard()
    assert losses[0] != losses[1]
    packed, noise = heard[0]
    assert noise is not None
    assert packed.places is None
    for part, length in zip(torch.split(noise[0], [COUNT + 40, COUNT + 90]), (40, 90), strict=True):
        assert not part[:COUNT].any()
        most = 5.0 / math.sqrt(length * noise.shape[-1])
        assert part.abs().max().item() <= most
        assert abs(part[COUNT:].std().item() * math.sqrt(3) / most - 1) < 0.05


def test_the_way_is_checked_with_what_the_model_knows() -> None:
    """Behind learned numbers rounding alone may move the logits of a bfloat16 model further than any fault would."""

    def never() -> Tensor:
        raise AssertionError

    bundle = bundle_of("grouped heads")
    for learned in (LearnedPrompt(COUNT, never), LearnedPrefix(COUNT, lambda: ((never(), never()),))):
        with connect(bundle.model, learned) as network:
            assert (network.backend, network.virtual) == ("documents", COUNT)
            with pytest.raises(AssertionError):
                network.hidden(network.pack(documents(LENGTHS)))


def test_a_window_shorter_than_a_prefix_is_refused_where_peft_cuts_it() -> None:
    with pytest.raises(ModelError, match=r"Gemma3ForCausalLM.*they keep 7 of 9 tokens"):
        build_method(PrefixMethod(kind="prefix", tokens=9, init="random"))(bundle_of("two windows"), SEED)


def test_an_adapter_in_the_model_is_refused() -> None:
    bundle = tiny_model()
    build_method(LoraMethod(kind="lora"))(bundle, 0)
    for method in METHODS.values():
        with pytest.raises(TrainingError, match="has an adapter in it already"):
            build_method(method)(bundle, 0)
