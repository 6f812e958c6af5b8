"""The penalty on forgetting: where its texts come from, what it costs, and what it does to a tuning."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import kl_div

from tutelage.errors import ModelError
from tutelage.models.adapters import add_adapter
from tutelage.models.bundle import Bundle
from tutelage.models.free_text import TEXTS_AT_ONCE, free_texts
from tutelage.models.load import load_bundle
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod, RetentionSection, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Prepared, Step, train
from tutelage.tune.divergences import OfLikely
from tutelage.tune.retention import Divergence, Memory, Retention, remember
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import pack
from tutelage.tune.training.losses import PositionLoss
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Batch, accumulate

SMALL = RetentionSection(texts=6, tokens=24, texts_a_step=3, candidates=16)


# The texts.


def test_texts_are_the_models_own_and_the_same_for_the_same_seed() -> None:
    bundle = tiny_model()
    state = torch.get_rng_state()
    count = TEXTS_AT_ONCE + 3
    parts = list(free_texts(bundle, count, tokens=7, seed=5))
    assert [tuple(part.shape) for part in parts] == [(TEXTS_AT_ONCE, 7), (3, 7)]
    texts = torch.cat(parts)
    assert set(texts[:, 0].tolist()) == {bundle.tokenizer.bos_token_id}
    assert len({tuple(text.tolist()) for text in texts}) == count
    assert torch.equal(torch.cat(list(free_texts(bundle, count, tokens=7, seed=5))), texts)
    assert not torch.equal(torch.cat(list(free_texts(bundle, count, tokens=7, seed=6))), texts)
    assert torch.equal(torch.get_rng_state(), state), "the global random state stays"


def test_they_are_drawn_from_the_models_distribution() -> None:
    """Second tokens of 8,192 texts against the probabilities after the first: no count is five deviations off."""
    bundle = tiny_model()
    torch.manual_seed(0)
    with torch.no_grad():
        bundle.model.lm_head.weight.mul_(40)  # random weights are nearly uniform
        first = torch.tensor([[bundle.tokenizer.bos_token_id]])
        expected = bundle.model(input_ids=first).logits[0, 0].softmax(-1).double().numpy()
    count = 8192
    texts = torch.cat(list(free_texts(bundle, count, tokens=2, seed=1)))
    found = np.bincount(texts[:, 1].numpy(), minlength=len(expected))
    assert expected.max() > 10 / len(expected)
    deviation = np.sqrt(count * expected * (1 - expected))
    assert (np.abs(found - count * expected) < 5 * deviation + 3).all()


def test_a_tokenizer_without_a_beginning_is_refused() -> None:
    bundle = tiny_model()
    bundle.tokenizer.bos_token = None
    bundle.tokenizer.eos_token = None
    with pytest.raises(ModelError, match="texts cannot be drawn from this model"):
        next(free_texts(bundle, 1, tokens=4, seed=0))


# The divergence.


def drawn(count: int, vocabulary: int, seed: int) -> tuple[Tensor, Tensor]:
    """Logits before and now."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, vocabulary, generator=generator) * 2,
        torch.randn(count, vocabulary, generator=generator) * 2,
    )


def held(before: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    found = before.log_softmax(-1).topk(candidates, dim=-1)
    return found.indices, found.values


@given(st.integers(1, 6), st.integers(3, 40), st.integers(0, 999), st.data())
@settings(max_examples=60, deadline=None)
def test_it_is_the_divergence_over_the_likely_tokens_and_the_rest(
    count: int, vocabulary: int, seed: int, data: st.DataObject
) -> None:
    candidates = data.draw(st.integers(1, vocabulary - 1))
    before, now = drawn(count, vocabulary, seed)
    likely, logprobs = held(before, candidates)
    found = OfLikely(likely, logprobs)(now, slice(0, count))

    def lumped(logits: Tensor) -> Tensor:
        near = logits.double().softmax(-1).gather(1, likely)
        return torch.cat([near, 1 - near.sum(-1, keepdim=True)], dim=-1)

    expected = kl_div(lumped(now).log(), lumped(before), reduction="none").sum(-1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5)
    whole = kl_div(now.log_softmax(-1), before.softmax(-1), reduction="none").sum(-1)
    assert (found <= whole + 1e-5).all(), "a lower bound of the full divergence"
    assert (found >= -1e-5).all()
    same = OfLikely(likely, logprobs)(before, slice(0, count))
    torch.testing.assert_close(same, torch.zeros(count), rtol=0, atol=1e-5)


def test_with_all_tokens_it_is_the_full_divergence_and_its_gradient() -> None:
    before, now = drawn(5, 12, 0)
    plain, ours = now.clone().requires_grad_(), now.clone().requires_grad_()
    expected = kl_div(plain.log_softmax(-1), before.softmax(-1), reduction="none").sum(-1)
    found = OfLikely(*held(before, 12))(ours, slice(0, 5))
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)
    for loss in (expected, found):
        loss.sum().backward()
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-3, atol=1e-4)


@given(st.integers(1, 6), st.integers(3, 40), st.integers(0, 999), st.floats(0, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_its_slopes_are_those_of_differentiation(
    count: int, vocabulary: int, seed: int, sharper: float, data: st.DataObject
) -> None:
    before, now = (logits.double() for logits in drawn(count, vocabulary, seed))
    likely, logprobs = held(before, data.draw(st.integers(1, vocabulary)))
    now[0, likely[0, 0]] += sharper  # up to where all others have next to nothing
    loss = OfLikely(likely, logprobs)
    at = slice(0, count)
    losses, slopes = PositionLoss.with_slopes(loss, now, at)
    found, ours = loss.with_slopes(now.clone(), at)
    torch.testing.assert_close(found, losses)
    torch.testing.assert_close(ours, slopes, rtol=1e-6, atol=1e-9)


# Memories in a step.


def memories(bundle: Bundle, section: RetentionSection = SMALL) -> list[Memory]:
    return list(remember(bundle, section, seed=2))


def test_an_untouched_model_remembers_everything() -> None:
    bundle = tiny_model()
    found = memories(bundle)
    assert len(found) == SMALL.texts
    assert found[0].likely.shape == found[0].logprobs.shape == (SMALL.tokens - 1, SMALL.candidates)
    optimizer = Optimizer(dict(bundle.model.named_parameters()), AdamWOptimizer(kind="adamw"))
    with connect(bundle.model) as network:
        batch = Batch(1, Divergence(), range(len(found)), found)
        (collected,) = accumulate(network, [batch], optimizer=optimizer, limit=50, seed=0).batches
    assert collected.loss == pytest.approx(0, abs=1e-6)
    assert collected.tokens == SMALL.texts * SMALL.tokens
    assert optimizer.clip(0.0) == pytest.approx(0, abs=1e-4), "the penalty has its minimum at the start"


def gradient(network: Network, batches: list[Batch[Memory]], optimizer: Optimizer, limit: int) -> list[Tensor]:
    done = accumulate(network, batches, optimizer=optimizer, limit=limit, seed=0)
    tokens = sum(len(row.text) for batch in batches for row in batch.rows)
    assert (done.micro_batches == 1) == (tokens <= limit), "batches share a micro-batch where the limit allows it"
    found = [master.grad.clone() for master in optimizer.masters.values() if master.grad is not None]
    optimizer.discard()
    return found


def test_batches_of_a_step_add_up_by_their_scales_however_they_are_split() -> None:
    bundle = tiny_model()
    found = memories(bundle)
    with torch.no_grad():
        for number, weight in enumerate(bundle.model.parameters()):
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) * 0.02)
    optimizer = Optimizer(dict(bundle.model.named_parameters()), AdamWOptimizer(kind="adamw"))
    with connect(bundle.model) as network:
        one = Batch(1, Divergence(), range(2), found[:2])
        two = Batch(1, Divergence(), range(4), found[2:], scale=0.5)
        alone = [gradient(network, [part], optimizer, 1000) for part in (one, two)]
        for limit in (1000, 30):
            both = gradient(network, [one, two], optimizer, limit)
            for a, b, together in zip(*alone, both, strict=True):
                torch.testing.assert_close(together, a + b, rtol=1e-3, atol=1e-6)
        plain = gradient(network, [Batch(1, Divergence(), range(4), found[2:])], optimizer, 1000)
    for half, full in zip(alone[1], plain, strict=True):
        torch.testing.assert_close(half, full / 2, rtol=1e-4, atol=1e-7)


def test_every_memory_has_its_turn() -> None:
    found = memories(tiny_model())
    retention = Retention(found, SMALL, seed=1)
    steps = [retention.of_step(step) for step in range(4)]
    assert [len(batch.rows) for batch in steps] == [3, 3, 3, 3]
    assert sorted([*steps[0].names, *steps[1].names]) == list(range(6))
    assert sorted([*steps[2].names, *steps[3].names]) == list(range(6))
    assert {batch.scale for batch in steps} == {SMALL.weight}
    assert len(Retention(found[:2], SMALL, seed=1).of_step(0).rows) == 2


# A whole tuning.


def knowing() -> Bundle:
    """The tiny model with opinions: what random weights predict is nearly uniform, and nobody could forget that."""
    bundle = tiny_model()
    with torch.no_grad():
        bundle.model.model.norm.weight.mul_(15)
    return bundle


def tuned(folder: Path, method: LoraMethod | FullMethod, retention: RetentionSection | None) -> list[Step]:
    bundle = knowing()
    rows = [bundle.template.encode((user(f"Say {word}."), assistant(f"{word} " * 6))) for word in ("yes", "no", "so")]
    section = TuneSection(
        method=method, optimizer=AdamWOptimizer(kind="adamw", lr=3e-3), batch_size=3, epochs=40, retention=retention
    )
    news = list(train(bundle, rows, section, folder=folder, seed=0))
    if retention is not None:
        drawn = [(told.what, told.done, told.total) for told in news if isinstance(told, Prepared)]
        assert drawn == [("free texts", number, 32) for number in range(1, 33)]
    return [step for step in news if isinstance(step, Step)]


def forgotten(weights: Path, adapter: bool) -> float:
    """Mean divergence of the tuned model from the start on texts that the tuning did not see."""
    unseen = list(remember(knowing(), SMALL, seed=99))
    model = add_adapter(knowing().model, weights, merge=True) if adapter else load_bundle(str(weights)).model
    with torch.no_grad(), connect(model) as network:
        objective = Divergence()
        packed = pack([memory.text for memory in unseen], torch.device("cpu"))
        (total,) = objective.cost(unseen, network.predict(packed)).terms
        return total.item() / sum(weight for memory in unseen for weight in objective.weights(memory))


@pytest.mark.parametrize("method", [LoraMethod(kind="lora", r=8), FullMethod(kind="full")], ids=["lora", "full"])
def test_it_keeps_what_tuning_alone_forgets(tmp_path: Path, method: LoraMethod | FullMethod) -> None:
    alone = tuned(tmp_path / "alone", method, None)
    kept = tuned(tmp_path / "kept", method, SMALL.model_copy(update={"weight": 3.0, "texts": 32}))
    assert {step.retention for step in alone} == {None}
    assert kept[0].retention == pytest.approx(0, abs=1e-6)
    assert all(step.retention is not None for step in kept)
    assert kept[0].tokens == alone[0].tokens + SMALL.texts_a_step * SMALL.tokens
    assert kept[0].target_tokens == alone[0].target_tokens
    assert kept[0].loss == pytest.approx(alone[0].loss, rel=1e-6), "the loss of the rows is reported by itself"
    learned, possible = (steps[0].loss - steps[-1].loss for steps in (kept, alone))
    assert learned > 0.6 * possible > 0.3, "the rows are learned all the same"
    adapter = isinstance(method, LoraMethod)
    without, held_to = (forgotten(tmp_path / name / "weights", adapter) for name in ("alone", "kept"))
    assert held_to < 0.2 * without
