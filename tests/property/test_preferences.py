"""Objectives of preferences: the values of their papers, computed by hand from plain log-probabilities, however the
rows are split into micro-batches and whatever is computed once for several of them; and the same gradients."""

import math
from collections.abc import Callable, Sequence
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

from tutelage.models.logprobs import token_logprobs
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import (
    DpoObjective,
    IpoObjective,
    KtoObjective,
    Objective,
    OrpoObjective,
    Part,
    SftObjective,
    SimpoObjective,
    SumObjective,
)
from tutelage.recipe.tune import AdamWOptimizer, FullMethod
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import build_objective
from tutelage.tune.objectives.kto import Kto, mismatched
from tutelage.tune.reference import Reference
from tutelage.tune.rows import Pair, Rated
from tutelage.tune.training.attention import connect
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Batch, accumulate

CONNECTED = ExitStack()
START = 0.5


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


def plain(document: Encoded) -> Tensor:
    """Log-probabilities of the targets of a document by itself, by the plainest path there is."""
    return token_logprobs(alone(), torch.tensor(document.ids), torch.tensor(document.targets))


class Made(Reference):
    """A reference that is a function of the document: its log-probability under the model as it is, times 1.5 or
    0.8, so that ratios are above 0 for some and below for others."""

    def of(self, documents: Sequence[Encoded], like: Tensor) -> Tensor:
        with torch.no_grad():
            found = torch.stack([plain(document).sum() for document in documents])
            return found * torch.where(found.abs() % 2 < 1, 1.5, 0.8) - START


def answers(lengths: list[tuple[int, int, int]], seed: int) -> list[Pair]:
    generator = np.random.default_rng(seed)
    vocabulary = prepared()[2]

    def document(prompt: Any, length: int) -> Encoded:
        ids = np.concatenate([prompt, generator.integers(0, vocabulary, length)]).astype(np.int32)
        return Encoded(ids, np.arange(len(ids)) >= len(prompt))

    pairs = []
    for prompt_length, first, second in lengths:
        prompt = generator.integers(0, vocabulary, prompt_length)
        pairs.append(Pair(document(prompt, first), document(prompt, second)))
    return pairs


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def ratio(document: Encoded) -> Tensor:
    now = plain(document).sum()
    return now - Made().of([document], now)[0]


def dpo(rows: list[Pair]) -> Tensor:
    total = torch.zeros(())
    for row in rows:
        margin = 0.3 * (ratio(row.chosen) - ratio(row.rejected))
        total = total - 0.9 * torch.log(sigmoid(margin)) - 0.1 * torch.log(sigmoid(-margin))
    return total / len(rows)


def ipo(rows: list[Pair]) -> Tensor:
    total = torch.zeros(())
    for row in rows:
        h = ratio(row.chosen) / len(plain(row.chosen)) - ratio(row.rejected) / len(plain(row.rejected))
        total = total + (h - 1 / (2 * 0.2)) ** 2
    return total / len(rows)


def simpo(rows: list[Pair]) -> Tensor:
    total = torch.zeros(())
    for row in rows:
        total = total - torch.log(sigmoid(1.5 * (plain(row.chosen).mean() - plain(row.rejected).mean()) - 0.4))
    return total / len(rows)


def orpo(rows: list[Pair]) -> Tensor:
    def odds(document: Encoded) -> Tensor:
        p = torch.exp(plain(document).mean())
        return p / (1 - p)

    ratios = sum((-torch.log(sigmoid(torch.log(odds(r.chosen) / odds(r.rejected)))) for r in rows), torch.zeros(()))
    return sft(rows) + 0.25 * ratios / len(rows)


def sft(rows: list[Pair]) -> Tensor:
    tokens = [plain(row.chosen) for row in rows]
    return -sum((found.sum() for found in tokens), torch.zeros(())) / sum(map(len, tokens))


def rated(pairs: list[Pair]) -> list[Rated]:
    """Every other answer is wanted."""
    return [
        Rated(document, place % 2 == 0) for pair in pairs for place, document in enumerate((pair.chosen, pair.rejected))
    ]


def baseline_of(rows: list[Rated]) -> float:
    others = []
    for row, after in zip(rows, [*rows[1:], rows[0]], strict=True):
        prompt = after.answer.ids[~after.answer.targets]
        answer = row.answer.ids[row.answer.targets]
        ids = np.concatenate([prompt, answer])
        others.append(Encoded(ids, np.arange(len(ids)) >= len(prompt)))
    return max(0.0, float(sum(ratio(document).item() for document in others)) / len(others))


def kto(rows: list[Rated]) -> Tensor:
    baseline = baseline_of(rows)
    total = torch.zeros(())
    for row in rows:
        r = ratio(row.answer)
        total = total + (0.7 if row.wanted else 1.3) * (
            1 - sigmoid(0.05 * (r - baseline)) if row.wanted else 1 - sigmoid(0.05 * (baseline - r))
        )
    return total / len(rows)


DPO = DpoObjective(kind="dpo", beta=0.3, label_smoothing=0.1)
SFT = SftObjective(kind="sft")
CASES: dict[str, tuple[Objective, Callable[[Any], Tensor]]] = {
    "dpo": (DPO, dpo),
    "ipo": (IpoObjective(kind="ipo", tau=0.2), ipo),
    "simpo": (SimpoObjective(kind="simpo", beta=1.5, gamma=0.4), simpo),
    "orpo": (OrpoObjective(kind="orpo", weight=0.25), orpo),
    "kto": (KtoObjective(kind="kto", beta=0.05, wanted=0.7, unwanted=1.3), kto),
    "sum": (
        SumObjective(kind="sum", parts=(Part(weight=2.0, objective=DPO), Part(weight=0.5, objective=SFT))),
        lambda rows: 2 * dpo(rows) + 0.5 * sft(rows),
    ),
}


@pytest.mark.parametrize("kind", CASES)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5),
    st.integers(1, 150),
    st.integers(0, 99),
)
@settings(max_examples=12, deadline=None)
def test_losses_and_gradients_are_those_of_the_papers(
    kind: str, lengths: list[tuple[int, int, int]], limit: int, seed: int
) -> None:
    section, by_hand = CASES[kind]
    network, optimizer, _ = prepared()
    rows: list[Any] = answers(lengths, seed)
    rows = rated(rows) if kind == "kto" else rows
    objective = build_objective(section, Made()).before(rows, network, limit)
    if isinstance(objective, Kto):
        assert (objective.baseline > 0) == (baseline_of(rows) > 0)
    done = accumulate(network, [Batch(1, objective, range(len(rows)), rows)], optimizer=optimizer, limit=limit, seed=0)
    found = {name: master.grad.clone() for name, master in optimizer.masters.items() if master.grad is not None}
    optimizer.discard()
    expected = by_hand(rows)
    assert done.batches[0].loss == pytest.approx(expected.item(), rel=2e-5, abs=1e-6)
    gradients = torch.autograd.grad(expected, [alone().get_parameter(name) for name in found])
    for (name, gradient), plainly in zip(found.items(), gradients, strict=True):
        torch.testing.assert_close(gradient, plainly, rtol=2e-3, atol=5e-6, msg=lambda text, n=name: f"{n}: {text}")


def test_what_is_told_of_pairs() -> None:
    network, optimizer, _ = prepared()
    rows = answers([(3, 4, 5), (2, 6, 1), (5, 2, 2)], 0)
    objective = build_objective(DPO, Made())
    told = (
        accumulate(network, [Batch(1, objective, range(3), rows)], optimizer=optimizer, limit=20, seed=0)
        .batches[0]
        .told
    )
    optimizer.discard()
    rewards = [(0.3 * ratio(row.chosen).item(), 0.3 * ratio(row.rejected).item()) for row in rows]
    assert told["accuracy"] == pytest.approx(sum(won > lost for won, lost in rewards) / 3)
    assert told["margin"] == pytest.approx(sum(won - lost for won, lost in rewards) / 3, rel=1e-4, abs=1e-5)
    assert told["chosen"] == pytest.approx(sum(won for won, _ in rewards) / 3, rel=1e-4)
    assert told["rejected"] == pytest.approx(sum(lost for _, lost in rewards) / 3, rel=1e-4)


def test_a_step_of_one_answer_has_no_other_to_compare_with() -> None:
    (pair,) = answers([(3, 4, 5)], 0)
    row = Rated(pair.chosen, True)
    assert mismatched([row]) == []
    network, _, _ = prepared()
    objective = build_objective(KtoObjective(kind="kto"), Made())
    cost = objective.before([row], network, 100).cost([row], network.predict(network.pack([row.answer])))
    assert cost.terms[0].item() == pytest.approx(1 / (1 + math.exp(0.1 * ratio(row.answer).item())), rel=1e-4)


def test_an_answer_behind_another_question_is_no_longer_than_a_row_may_be() -> None:
    first, second = (Rated(pair.chosen, True) for pair in answers([(9, 2, 1), (2, 8, 1)], 0))
    assert [len(document) for document in mismatched([first, second])] == [4, 17]
    cut = mismatched([first, second], 11)
    assert [len(document) for document in cut] == [4, 11]
    assert [int(document.targets.sum()) for document in cut] == [2, 2]


def test_a_reference_is_computed_once_and_kept(tmp_path: Any) -> None:
    network, _, _ = prepared()
    rows = answers([(3, 4, 5), (2, 6, 1)], 0)
    documents = [document for row in rows for document in (row.chosen, row.rejected)]
    reference = Reference()
    assert reference.missing([*documents, *documents]) == documents
    assert list(reference.learn(documents, network, 12))[-1] == 4
    assert reference.missing(documents) == []
    like = torch.zeros(())
    expected = torch.stack([plain(document).sum() for document in documents])
    torch.testing.assert_close(reference.of(documents, like), expected, rtol=1e-5, atol=1e-5)
    reference.save(tmp_path, "this run")
    again = Reference()
    assert not again.load(tmp_path, "another run")
    assert again.load(tmp_path, "this run")
    assert torch.equal(again.of(documents, like), reference.of(documents, like))
