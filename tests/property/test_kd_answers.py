"""What an endpoint said of its answers teaches what the same model, read here, would: equal losses, equal gradients."""

from contextlib import ExitStack
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from support.endpoint import Misbehaviour, endpoint
from support.speaking import spoken
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.models.token_bytes import token_bytes_of
from tutelage.recipe.methods import FullMethod
from tutelage.recipe.objectives import KdAnswersObjective, KdObjective, SftObjective
from tutelage.records import Request, assistant, user
from tutelage.records.logprobs import bytes_as_text, text_as_bytes
from tutelage.tune.divergences import OfLikely
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import build_objective
from tutelage.tune.objectives.objective import Objective
from tutelage.tune.reference import Reference
from tutelage.tune.rows import Told
from tutelage.tune.teacher import Teacher
from tutelage.tune.told import tell
from tutelage.tune.training.attention import connect
from tutelage.tune.training.network import Network

CONNECTED = ExitStack()
WHOLE = slice(None)
ANSWERS = st.text("abcdehinorst ,.!?-éß€漢\n", min_size=1, max_size=30).map(str.strip).filter(bool)


@cache
def student() -> tuple[Bundle, Network, dict[str, Tensor]]:
    """The tiny model, connected for the life of the test process, with the weights that are trained."""
    bundle = tiny_model()
    tuned = build_method(FullMethod(kind="full"))(bundle, 0)
    return bundle, CONNECTED.enter_context(connect(tuned.model)), dict(tuned.parameters)


@cache
def teacher() -> Bundle:
    return tiny_model(seed=1)


def loss_and_gradients(objective: Objective[Encoded], rows: list[Encoded]) -> tuple[float, dict[str, Tensor]]:
    _, network, parameters = student()
    for weight in parameters.values():
        weight.grad = None
    documents = [document for row in rows for document in objective.documents(row)]
    (total,) = objective.cost(rows, network.predict(network.pack(documents))).terms
    loss = total / sum(objective.weights(row)[0] for row in rows)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), {name: weight.grad.clone() for name, weight in parameters.items() if weight.grad is not None}


@given(st.lists(ANSWERS, min_size=1, max_size=3, unique=True), st.integers(1, 20))
@settings(max_examples=12, deadline=None)
def test_an_endpoint_teaches_what_its_model_would_teach_here(answers: list[str], count: int) -> None:
    bundle, *_ = student()
    tokens = token_bytes_of(bundle.tokenizer)
    assert tokens is not None
    asked = [Request(id=f"r{n}", messages=(user(f"q{n}"),), top_logprobs=count) for n in range(len(answers))]
    with (
        endpoint(
            Misbehaviour(logprobs="offered"),
            reply=lambda content: answers[int(content[1:])],
            says=lambda messages, text, k: spoken(teacher(), messages, text, k),
        ) as server,
        RemoteCompleter(server.url, "m") as remote,
    ):
        given_by = {answer.request_id: answer for answer in remote.complete(asked)}
    rows: list[Encoded] = []
    for request in asked:
        answer = given_by[request.id]
        assert answer.choices is not None
        document = bundle.template.encode((*request.messages, assistant(answer.text)))
        rows.append(tell(document, answer.choices, tokens, end=bundle.template.end_ids[0], top_k=count))
    assert all(isinstance(row, Told) for row in rows)
    stored = Teacher(KdObjective(kind="kd", teacher="here", top_k=count))
    list(stored.store(rows, teacher(), bundle, 512))
    there = build_objective(KdAnswersObjective(kind="kd_answers"), Reference())
    here = build_objective(KdObjective(kind="kd", teacher="here", top_k=count), Reference(), stored)
    told, expected = loss_and_gradients(there, rows), loss_and_gradients(here, rows)
    assert told[0] == pytest.approx(expected[0], rel=1e-5, abs=1e-6)
    assert told[1].keys() == expected[1].keys()
    for name, gradient in told[1].items():
        torch.testing.assert_close(gradient, expected[1][name], rtol=1e-3, atol=1e-6, msg=name)


def test_where_nothing_was_said_the_written_token_is_certain() -> None:
    """Cross-entropy but for the least share of all other tokens."""
    bundle, *_ = student()
    rows: list[Encoded] = [
        bundle.template.encode((user("Hi"), assistant(text))) for text in ("the name", "In the garden.")
    ]
    said = loss_and_gradients(build_objective(KdAnswersObjective(kind="kd_answers"), Reference()), rows)
    plain = loss_and_gradients(build_objective(SftObjective(kind="sft"), Reference()), rows)
    assert said[0] == pytest.approx(plain[0], abs=1e-4)
    for name, gradient in said[1].items():
        torch.testing.assert_close(gradient, plain[1][name], rtol=1e-3, atol=1e-5, msg=name)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(6, 9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_places_of_few_tokens_beside_places_of_many(counts: list[int], vocabulary: int, seed: int) -> None:
    """Each place costs what it costs by itself, and the closed slopes are those of autograd."""
    generator = torch.Generator().manual_seed(seed)
    expected, now = (torch.randn(len(counts), vocabulary, generator=generator) for _ in (0, 1))
    found = expected.log_softmax(-1).topk(max(counts), dim=-1)
    absent = torch.arange(max(counts))[None] >= torch.tensor(counts)[:, None]
    together = OfLikely(found.indices.masked_fill(absent, 0), found.values.masked_fill(absent, -torch.inf))
    leaf = now.clone().requires_grad_()
    losses = together(leaf, WHOLE)
    (slopes,) = torch.autograd.grad(losses.sum(), leaf)
    again, closed = together.with_slopes(now.clone(), WHOLE)
    torch.testing.assert_close(again, losses)
    torch.testing.assert_close(closed, slopes, rtol=2e-3, atol=2e-4)
    for place, count in enumerate(counts):
        alone = OfLikely(found.indices[place : place + 1, :count], found.values[place : place + 1, :count])
        torch.testing.assert_close(losses[place : place + 1], alone(now[place : place + 1], WHOLE))


@given(st.binary(max_size=20))
def test_bytes_come_back_from_their_text(token: bytes) -> None:
    text = bytes_as_text(token)
    assert text_as_bytes(text) == token
    assert text.encode().decode() == text, "it is text"


@given(st.text(max_size=20).filter(lambda text: "\\" not in text))
def test_text_without_backslashes_reads_as_it_is(text: str) -> None:
    assert bytes_as_text(text.encode("utf-8", "replace")) == text.encode("utf-8", "replace").decode()
