"""Group relative policy optimization: advantages by hand and by their properties; losses and gradients are those of the
papers, from plain log-probabilities, however the rows are split into micro-batches."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.grpo import Advantage, GrpoObjective
from tutelage.recipe.tune import AdamWOptimizer, FullMethod
from tutelage.records import Item, user
from tutelage.tune.methods import build_method
from tutelage.tune.objectives.advantages import advantages
from tutelage.tune.objectives.grpo import Grpo, group_of
from tutelage.tune.policy import Answered, Policy, Rollout
from tutelage.tune.rollouts import Sampled
from tutelage.tune.rows import Asked
from tutelage.tune.sampling import behind
from tutelage.tune.training.attention import connect
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Accumulated, Batch, accumulate

CONNECTED = ExitStack()
MOST = 12
REWARDS = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=2, max_size=9)
Gradients = dict[str, Tensor]


@cache
def prepared() -> tuple[Network, Optimizer, int]:
    """The tiny model, connected for the life of the test process, with its optimizer and vocabulary."""
    bundle = tiny_model()
    tuned = build_method(FullMethod(kind="full"))(bundle, 0)
    network = CONNECTED.enter_context(connect(tuned.model))
    return network, Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw")), len(bundle.tokenizer)


@cache
def alone() -> PreTrainedModel:
    """The same model once more, with its own attention."""
    return tiny_model().model


def plain(document: Encoded, temperature: float = 1.0) -> Tensor:
    """Log p of the targets of a document by itself."""
    ids, targets = torch.tensor(document.ids, dtype=torch.long), torch.tensor(document.targets)
    logits = alone()(input_ids=ids[None]).logits[0, :-1] / temperature
    return torch.log_softmax(logits, -1).gather(1, ids[1:, None])[:, 0][targets[1:]]


def of(rewards: list[float | None], kind: Advantage) -> list[float]:
    known = [math.nan if reward is None else reward for reward in rewards]
    found: list[float] = advantages(torch.tensor(known), kind).tolist()
    return found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # mean 0.5, deviations .5 -.5 .25 -.25, std = sqrt(.625/3)
        ("grpo", [0.5 / 0.456535, -0.5 / 0.456535, 0.25 / 0.456535, -0.25 / 0.456535]),
        ("dr_grpo", [0.5, -0.5, 0.25, -0.25]),
        # 1 - (0 + .75 + .25)/3, 0 - 2/3, .75 - 1.25/3, .25 - 1.75/3
        ("rloo", [2 / 3, -2 / 3, 1 / 3, -1 / 3]),
    ],
)
def test_advantages_by_hand(kind: Advantage, expected: list[float]) -> None:
    assert of([1.0, 0.0, 0.75, 0.25], kind) == pytest.approx(expected, abs=3e-4)
    with_one_unscored = of([1.0, 0.0, None, 0.75, 0.25], kind)
    assert with_one_unscored == [*of([1.0, 0.0, 0.75, 0.25], kind)[:2], 0.0, *of([1.0, 0.0, 0.75, 0.25], kind)[2:]]


@given(REWARDS, st.sampled_from(["grpo", "dr_grpo", "rloo"]))
def test_advantages_sum_to_zero_and_keep_the_order(rewards: list[float | None], kind: Advantage) -> None:
    found = of(rewards, kind)
    scored = [(reward, gain) for reward, gain in zip(rewards, found, strict=True) if reward is not None]
    assert sum(found) == pytest.approx(0, abs=1e-5)
    assert all(gain == 0 for reward, gain in zip(rewards, found, strict=True) if reward is None)
    if len({reward for reward, _ in scored}) < 2:
        assert found == [0.0] * len(rewards)
        return
    for reward, gain in scored:
        others = [other for other, _ in scored]
        others.remove(reward)
        if kind == "rloo":
            assert gain == pytest.approx(reward - sum(others) / len(others), abs=1e-6)
    ordered = sorted(scored)
    assert [gain for _, gain in ordered] == sorted(gain for _, gain in scored)
    if kind == "grpo":
        assert np.std([gain for _, gain in scored], ddof=1) == pytest.approx(1, rel=1e-2)


def made(
    shapes: list[list[int]], section: GrpoObjective, seed: int, *, drift: float = 0.3
) -> tuple[list[Asked], list[list[Answered]]]:
    """Prompts and groups of random answers of such lengths; some unscored, some cut off, some of equal rewards."""
    generator = np.random.default_rng(seed)
    vocabulary = prepared()[2]
    rows, groups = [], []
    for number, lengths in enumerate(shapes):
        ids = generator.integers(0, vocabulary, int(generator.integers(1, 9))).astype(np.int32)
        prompt = Encoded(ids, np.zeros(len(ids), dtype=np.bool_))
        item = Item(
            id=str(number), task="t", dimension="d", level="basic", split="train", messages=(user("a"),), group="g"
        )
        rows.append(Asked(prompt, item))
        answers = []
        for place, length in enumerate(lengths):
            tokens = generator.integers(0, vocabulary, length).tolist()
            document = behind(prompt, tokens)
            with torch.no_grad():
                now = plain(document, section.temperature)
            old, first = (now + drift * torch.tensor(generator.normal(size=length)).float() for _ in range(2))
            reward = generator.choice([0.0, 0.5, 1.0, math.nan]) if place else 1.0
            sampled = Sampled(
                run="r",
                rollout=0,
                of=0,
                prompt=str(number),
                seed=0,
                answer="",
                ended=bool(generator.integers(2)),
                reward=None if math.isnan(reward) else float(reward),
                entropy=0,
                tokens=tuple(tokens),
                sampler=(0.0,) * length,
                trainer=tuple(old.tolist()),
            )
            answers.append(Answered(sampled, document, first if section.kl else None))
        groups.append(answers)
    return rows, groups


def objective_of(section: GrpoObjective, rows: list[Asked], groups: list[list[Answered]]) -> Grpo:
    found = {row.item.id: group_of(group, section) for row, group in zip(rows, groups, strict=True)}
    step = section.updates - 1  # the last on these answers: with more than one, of the old log-probabilities
    return Grpo(section, Policy(section), step=step, groups=found, facts={"reward": 0.25})


def by_hand(section: GrpoObjective, groups: list[list[Answered]]) -> tuple[Tensor, dict[str, float]]:
    """The loss and what is told of it, answer by answer."""
    total, below = torch.zeros(()), 0.0
    clipped, divergences, tokens = 0.0, 0.0, 0
    for group in groups:
        rewards = [one.sampled.reward for one in group]
        for one, gain in zip(group, of(rewards, section.advantage), strict=True):
            if one.sampled.reward is None or (section.truncated == "mask" and not one.sampled.ended):
                continue
            now = plain(one.document, section.temperature)
            ratio = torch.exp(now - (one.old if section.updates > 1 else now.detach()))
            kept = torch.minimum(ratio, torch.tensor(1 + section.clip_high)) if gain > 0 else ratio
            kept = torch.maximum(ratio, torch.tensor(1 - section.clip_low)) if gain < 0 else kept
            loss = -kept * gain
            clipped += (kept != ratio).sum().item()
            tokens += len(now)
            if one.first is not None:
                k3 = torch.exp(one.first - now) - (one.first - now) - 1
                divergences += k3.sum().item()
                loss = loss + section.kl * k3
            match section.average:
                case "token":
                    total, below = total + loss.sum(), below + len(loss)
                case "row":
                    total, below = total + loss.mean(), below + 1
                case "constant":
                    total, below = total + loss.sum(), below + section.max_tokens
    told = {"clipped": clipped / max(tokens, 1), "reward": 0.25}
    return total / max(below, 1), told | ({"kl": divergences / max(tokens, 1)} if section.kl else {})


def step_of(objective: Grpo, rows: list[Asked], limit: int) -> tuple[Accumulated, Gradients]:
    network, optimizer, _ = prepared()
    done = accumulate(network, [Batch(1, objective, range(len(rows)), rows)], optimizer=optimizer, limit=limit, seed=0)
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    optimizer.discard()
    return done, found


def section(**more: Any) -> GrpoObjective:
    return GrpoObjective.model_validate({"kind": "grpo", "max_tokens": MOST, **more})


SECTIONS = {
    "dapo": section(updates=2),
    "grpo": section(updates=2, average="row", clip_high=0.2, kl=0.04),
    "dr_grpo": section(updates=2, average="constant", advantage="dr_grpo", clip_low=0.1, clip_high=0.1),
    "rloo": section(advantage="rloo", average="row", kl=0.1),
    "masked": section(updates=3, truncated="mask", temperature=0.7),
    "hot": section(average="row", temperature=1.4, kl=0.5, truncated="mask"),
}
SHAPES = st.lists(st.lists(st.integers(1, MOST), min_size=2, max_size=5), min_size=1, max_size=4)


@pytest.mark.parametrize("name", SECTIONS)
@given(SHAPES, st.integers(1, 150), st.integers(0, 999))
@settings(max_examples=12, deadline=None)
def test_losses_and_gradients_are_those_of_the_papers(
    name: str, shapes: list[list[int]], limit: int, seed: int
) -> None:
    chosen = SECTIONS[name]
    rows, groups = made(shapes, chosen, seed)
    objective = objective_of(chosen, rows, groups)
    if not any(group.weight for group in objective.groups.values()):
        return  # nothing counts: seen below
    done, found = step_of(objective, rows, limit)
    expected, told = by_hand(chosen, groups)
    assert done.batches[0].loss == pytest.approx(expected.item(), rel=1e-4, abs=2e-6)
    assert done.batches[0].told == pytest.approx(told, rel=1e-4, abs=1e-6)
    if not expected.requires_grad:
        assert all(not gradient.any() for gradient in found.values())
        return
    gradients = torch.autograd.grad(expected, [alone().get_parameter(name) for name in found])
    for (name, gradient), plainly in zip(found.items(), gradients, strict=True):
        torch.testing.assert_close(gradient, plainly, rtol=2e-3, atol=5e-6, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("name", SECTIONS)
def test_any_split_gives_the_same(name: str) -> None:
    rows, groups = made([[3, 7, 5], [2, 2, 9, 4], [12, 1]], SECTIONS[name], 7)
    objective = objective_of(SECTIONS[name], rows, groups)
    whole, gradients = step_of(objective, rows, 10_000)
    split, others = step_of(objective, rows, 1)
    assert (whole.micro_batches, split.micro_batches) == (1, 3)
    assert split.batches[0].loss == pytest.approx(whole.batches[0].loss, rel=1e-5, abs=1e-7)
    assert split.batches[0].told == pytest.approx(whole.batches[0].told, rel=1e-5, abs=1e-7)
    for key, gradient in gradients.items():
        torch.testing.assert_close(others[key], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["grpo", "dr_grpo", "rloo"])
def test_at_ratio_one_the_gradient_is_that_of_reinforce_with_a_baseline(kind: Advantage) -> None:
    """−Σ A·∇ log p over the tokens, on new answers and with the old log p equal to the new one alike."""
    surrogates: list[Callable[[], GrpoObjective]] = [
        lambda: section(advantage=kind),
        lambda: section(advantage=kind, updates=2),
    ]
    for build in surrogates:
        chosen = build()
        rows, groups = made([[3, 7, 5, 4], [2, 6, 9]], chosen, 3, drift=0.0)
        _, found = step_of(objective_of(chosen, rows, groups), rows, 10_000)
        reinforce, tokens = torch.zeros(()), 0
        for group in groups:
            for one, gain in zip(group, of([one.sampled.reward for one in group], kind), strict=True):
                if one.sampled.reward is not None:
                    reinforce = reinforce - gain * plain(one.document).sum()
                    tokens += len(one.sampled.tokens)
        gradients = torch.autograd.grad(reinforce / tokens, [alone().get_parameter(name) for name in found])
        for gradient, plainly in zip(found.values(), gradients, strict=True):
            torch.testing.assert_close(gradient, plainly, rtol=2e-3, atol=2e-6)
        assert max(gradient.abs().max() for gradient in gradients) > 1e-3


def test_answers_without_gradient_are_not_computed_and_still_count() -> None:
    chosen = section(updates=2)
    _, (group,) = made([[4, 5, 6]], chosen, 0)
    same = [Answered(one.sampled.model_copy(update={"reward": 1.0}), one.document) for one in group]
    silent = group_of(same, chosen)
    assert len(silent.documents) == 1
    assert (silent.weight, silent.tokens) == (15.0, 15)
    held = section(updates=2, kl=0.1)
    first = [Answered(one.sampled, one.document, one.old) for one in same]
    assert len(group_of(first, held).documents) == 3


def test_a_step_whose_answers_are_all_cut_off_and_masked_moves_nothing() -> None:
    chosen = section(truncated="mask")
    rows, groups = made([[4, 5]], chosen, 0)
    cut = [[Answered(one.sampled.model_copy(update={"ended": False}), one.document) for one in groups[0]]]

    class Given(Policy):
        def roll(self, *args: Any) -> Any:
            return Rollout(0, {"0": cut[0]}, [[one.sampled for one in cut[0]]], 0.0)

    network, _, _ = prepared()
    objective = Grpo(chosen, Given(chosen)).before(rows, network, 100)
    done, gradients = step_of(objective, rows, 100)
    assert done.batches[0].loss == 0.0
    assert all(not gradient.any() for gradient in gradients.values())
    assert done.batches[0].told["ended"] == 0.0
