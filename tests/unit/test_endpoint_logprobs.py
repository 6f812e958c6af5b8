"""Log-probabilities over the wire: asked for, read, kept; what a server refuses or leaves out is told once."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.endpoint import NO_LOGPROBS, Misbehaviour, completion, endpoint, token_said
from tutelage.completers.endpoints.fallback import FallbackCompleter, Member
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.wire import read_completion, write_body
from tutelage.completers.replay import answer_all
from tutelage.events import Event
from tutelage.records import Answer, AnswerSchema, Request, TokenChoices, user
from tutelage.records.jsonl import RecordLog

PLAIN = Request(id="a", messages=(user("Hi"),))
WISH = PLAIN.model_copy(update={"top_logprobs": 3})


def wishes(count: int) -> list[Request]:
    return [WISH.model_copy(update={"id": f"r{n}", "messages": (user(f"q{n}"),)}) for n in range(count)]


def notes(told: Sequence[Event]) -> list[str]:
    return [str(event.data["text"]) for event in told if event.kind == "note"]


def test_a_request_without_the_wish_is_what_it_was() -> None:
    assert json.loads(PLAIN.to_json()).keys() == {"id", "messages"}
    assert not {"logprobs", "top_logprobs"} & json.loads(write_body("m", PLAIN)).keys()
    asked = json.loads(write_body("m", WISH))
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 3)
    assert not {"logprobs", "top_logprobs"} & json.loads(write_body("m", WISH, without=frozenset({"logprobs"}))).keys()


def test_what_was_said_is_read_byte_by_byte() -> None:
    euro = "€".encode()
    said = [token_said(euro[:2], [(euro[:2], -0.25), (b"\\x41", -2.0)]), token_said(euro[2:], [(b"!", 1e-9)], -3.0)]
    body = json.dumps(completion("€", said=said)).encode()
    answer = read_completion(WISH, body)
    assert answer.choices == (
        TokenChoices(token="\\xe2\\x82", logprob=-0.25, top=(("\\xe2\\x82", -0.25), ("\\\\x41", -2.0))),
        TokenChoices(token="\\xac", logprob=-3.0, top=(("!", 0.0),)),
    )
    assert Answer.from_json(answer.to_json()) == answer
    assert read_completion(PLAIN, body).choices is None, "who did not ask keeps nothing"


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"content": None},
        {"content": []},
        {"tokens": ["a"], "token_logprobs": [-1.0]},
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "logprob": -1.0, "bytes": [300]}]},
        {"content": [{"token": "a", "logprob": None}]},
        "none",
    ],
)
def test_what_cannot_be_read_leaves_the_answer(said: object) -> None:
    written = completion("Yes.")
    written["choices"][0]["logprobs"] = said
    answer = read_completion(WISH, json.dumps(written).encode())
    assert (answer.text, answer.choices) == ("Yes.", None)


def test_a_token_without_bytes_is_its_text() -> None:
    written = completion("é")
    written["choices"][0]["logprobs"] = {"content": [{"token": "é", "logprob": -1, "bytes": None, "top_logprobs": []}]}
    answer = read_completion(WISH, json.dumps(written).encode())
    assert answer.choices == (TokenChoices(token="é", logprob=-1.0),)


def test_they_come_and_stand_in_the_log(tmp_path: Path) -> None:
    told: list[Event] = []
    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    with endpoint(Misbehaviour(logprobs="offered")) as server, RemoteCompleter(server.url, "m") as remote:
        answers = answer_all(lambda: remote, wishes(3), log=log, chunk=8, emit=told.append)
        assert log.load() == sorted(
            answers, key=lambda one: [one.request_id for one in log.load()].index(one.request_id)
        )
    for answer in answers:
        assert answer.choices is not None
        assert "".join(choice.token for choice in answer.choices) == answer.text
        assert all(len(choice.top) == 3 and choice.logprob == -0.7 for choice in answer.choices)
    assert not notes(told)


def test_a_server_that_refuses_is_asked_without_and_told_once() -> None:
    told: list[Event] = []
    with endpoint(Misbehaviour(logprobs="refused")) as server:
        with RemoteCompleter(server.url, "m", concurrency=1) as remote:
            remote.tell(told.append)
            answers = [*remote.complete(wishes(4)), *remote.complete([WISH])]
        assert server.met["logprobs refused"] == 1, "it is sent no second one"
        assert server.paid.total() == 5
    assert all(answer.finish == "stop" and answer.choices is None for answer in answers)
    (note,) = notes(told)
    assert f"refuses logprobs and is asked without (403: {NO_LOGPROBS})" in note


def test_a_server_that_leaves_them_out_is_told_once_also_behind_another() -> None:
    told: list[Event] = []
    with endpoint() as server, RemoteCompleter(server.url, "m") as remote:
        several = FallbackCompleter([Member("first", remote)])
        several.tell(told.append)
        assert all(answer.choices is None for answer in several.complete(wishes(3)))
        (plain,) = several.complete([PLAIN])
        assert plain.choices is None
    (note,) = notes(told)
    assert "answers without the logprobs it was asked for" in note


def test_schema_and_log_probabilities_are_refused_apart() -> None:
    schema = {"name": "s", "json_schema": {"type": "object", "properties": {}, "required": []}}
    wanted = AnswerSchema.model_validate(schema)
    both = Request.model_validate({**WISH.model_dump(), "answer_schema": schema})
    with endpoint(Misbehaviour(logprobs="offered", schemas="refused")) as server:
        with RemoteCompleter(server.url, "m") as remote:
            (answer,) = remote.complete([both])
            assert "response_format" in remote.schema_refusal(wanted)
        assert server.met["schema refused"] == 1
    assert answer.choices is not None


def test_a_refusal_of_something_else_is_one() -> None:
    with endpoint(Misbehaviour(refused=1.0)) as server, RemoteCompleter(server.url, "m") as remote:
        (answer,) = remote.complete([WISH])
    assert answer.finish == "error"
    assert not answer.transient
