"""Structured output: what is sent, what is read, what is asked again, and that every request is in one count."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from support.endpoint import Misbehaviour, endpoint
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.wire import Complaint, NoAnswer, read_completion, refused_wish, write_body
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.completers.structured.asking import Ended, Way, ask_structured, read_answer
from tutelage.completers.structured.forms import Form, NotOfForm, form_of, form_of_schema, is_strict
from tutelage.completers.structured.json_text import JsonObject
from tutelage.errors import CompletionError
from tutelage.events import Event
from tutelage.records import Answer, Request, Sampling, content_id, user
from tutelage.records.jsonl import read_records
from tutelage.records.ledger import Dropped
from tutelage.records.structured import Loss, StructuredYield

ONCE = Patience(retries=0, base_s=0.001)
GOOD = '{"place": "Lyon", "year": 1901}'


class Founding(BaseModel):
    """Where and when."""

    model_config = ConfigDict(extra="forbid")

    place: str = Field(min_length=1)
    year: int


FORM = form_of(Founding)


def ask(*words: str, **more: object) -> list[Request]:
    return [
        Request(id=word, messages=(user(f"Tell me of {word}."),), sampling=Sampling(max_tokens=50), seed=n, **more)
        for n, word in enumerate(words)
    ]


def by_texts(
    texts: dict[str, list[str | Answer]], told: list[Request] | None = None
) -> Callable[[], ScriptedCompleter]:
    """One who says to each word its texts, one after another."""

    def reply(request: Request) -> str | Answer:
        if told is not None:
            told.append(request)
        word, _, again = request.id.partition("/again/")
        return texts[word][int(again or 0)]

    return lambda: ScriptedCompleter(reply)


def answer(text: str, finish: str = "stop", **more: object) -> Answer:
    return Answer.model_validate({"request_id": "", "text": text, "finish": finish, **more})


def stages(ends: list[Ended[Founding]]) -> dict[str, str]:
    return {end.request.id: end.loss.stage if end.loss else "" for end in ends}


def test_a_request_without_a_schema_is_what_it_was() -> None:
    request = Request(id="a", messages=(user("Hi"),), seed=3)
    assert (
        request.to_json() == '{"id":"a","messages":[{"role":"user","content":[{"kind":"text","text":"Hi"}]}],"seed":3}'
    )
    assert content_id(request.to_json()) == "65b29e2536b3c232"
    assert Request.from_json(request.to_json()) == request
    assert json.loads(write_body("m", request)).keys() == {
        "model", "messages", "temperature", "top_p", "max_tokens", "seed",
    }  # fmt: skip


def test_the_schema_of_a_model_is_of_the_strict_subset() -> None:
    class Part(BaseModel):
        title: str = "none"
        kind: Literal["a", "b"] = "a"

    class Whole(BaseModel):
        """Of parts."""

        parts: list[Part] = Field(min_length=1, description="At least one.")
        other: Part | None = None
        share: float = Field(default=0.5, ge=0, le=1)

    form = form_of(Whole)
    assert form.schema.strict
    assert is_strict(form.schema.json_schema)
    assert form.schema.json_schema == {
        "$defs": {
            "Part": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "kind": {"enum": ["a", "b"], "type": "string"}},
                "required": ["title", "kind"],
                "additionalProperties": False,
            }
        },
        "description": "Of parts.",
        "type": "object",
        "properties": {
            "parts": {"items": {"$ref": "#/$defs/Part"}, "type": "array", "description": "At least one."},
            "other": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]},
            "share": {"type": "number"},
        },
        "required": ["parts", "other", "share"],
        "additionalProperties": False,
    }


def test_a_model_that_servers_cannot_be_held_to_is_refused() -> None:
    class Free(BaseModel):
        keys: dict[str, int]

    class Anything(BaseModel):
        value: object

    class Pair(BaseModel):
        both: tuple[int, str]

    for model, where in ((Free, "Free.keys"), (Anything, "Anything.value"), (Pair, "Pair.both")):
        with pytest.raises(ValueError, match=where):
            form_of(model)


def test_what_does_not_fit_is_said_in_words() -> None:
    with pytest.raises(NotOfForm) as caught:
        FORM.read({"place": "", "yeer": 1901})
    said = str(caught.value)
    assert "place: String should have at least 1 character" in said
    assert "the key year is missing" in said
    assert "there must be no key yeer" in said
    with pytest.raises(NotOfForm, match='year: expected a valid integer, received "1901"'):
        FORM.read({"place": "Lyon", "year": "1901"})


def test_a_schema_of_ones_own_is_a_form_too() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 2}}, "required": ["n"]}
    form = form_of_schema("counted", schema)
    assert form.schema.strict is False, "it allows other keys"
    assert form.read({"n": 2, "more": 1}) == {"n": 2, "more": 1}
    with pytest.raises(NotOfForm, match="n: 1 is less than the minimum of 2"):
        form.read({"n": 1})
    with pytest.raises(ValueError, match="no JSON schema"):
        form_of_schema("bad", {"type": "thing"})
    with pytest.raises(ValueError, match="objects alone"):
        form_of_schema("bad", {"type": "array"})


@pytest.mark.parametrize(
    ("text", "finish", "stage", "repaired"),
    [
        (GOOD, "stop", "", False),
        (f"```json\n{GOOD}\n```", "stop", "", False),
        (f"```\n{GOOD}", "stop", "", False),
        (f"Of course! Here it is: {GOOD} I hope this helps {{really}}.", "stop", "", False),
        ('{"a": 1} is an example, and the answer is ' + GOOD, "stop", "", False),
        (GOOD, "length", "", False),
        ("{'place': 'Lyon', 'year': 1901,}", "stop", "", True),
        ('{"place": "Lyon", "year": 1901', "stop", "", True),
        ('{"place": "the "old" Lyon", "year": 1901}', "stop", "", True),
        ('{"place": {"in": "Lyon"}, year: 1901}', "stop", "invalid", False),
        ('{"place": "Lyon", "year": 1901', "length", "cut", False),
        ('{"place": {"a": 1}, "year": 19', "length", "cut", False),
        ('{"year": 1901, "place": "Lyo', "stop", "cut", False),
        ('{"place": "Lyon", "yeer": 1901}', "length", "invalid", False),
        ('{"place": "Lyon", "year": NaN}', "stop", "invalid", False),
        ("[1901]", "stop", "no_json", False),
        ("Lyon, in 1901.", "stop", "no_json", False),
        ("Lyon {in 1901}.", "stop", "no_json", False),
        ("{" * 5000, "stop", "no_json", False),
        (" \n", "stop", "empty", False),
        ("", "length", "cut", False),
    ],
)
def test_what_is_read_of_a_text(text: str, finish: str, stage: str, repaired: bool) -> None:
    reading = read_answer(answer(text, finish), FORM)
    assert (reading.loss.stage if reading.loss else "") == stage
    assert (reading.value is None) == bool(stage)
    assert reading.repaired == repaired


def test_every_end_is_counted_once_and_kept(tmp_path: Path) -> None:
    texts: dict[str, list[str | Answer]] = {
        "plain": [GOOD],
        "slips": ["{'place': 'Lyon', 'year': 1901}"],
        "second": ["Lyon.", GOOD],
        "third": ["Lyon.", '{"place": "Lyon"}', f"```json\n{GOOD}```"],
        "later": ["", "{'place': 'Lyon', 'year': 1901}"],
        "never": ["Lyon.", "Lyon!", "Lyon?"],
        "wrong": ['{"yeer": 1}'] * 3,
        "empty": [" "] * 3,
        "cut": [answer('{"place": "Ly', "length")] * 3,
        "refused": [answer("", "error", error="filtered")],
        "lost": [answer("", "error", error="busy", transient=True)],
    }
    told: list[Event] = []
    way = Way(tmp_path, "founding", chunk=4, emit=told.append)
    ends, counts = ask_structured(by_texts(texts), ask(*texts), form=FORM, way=way)
    assert [end.request.id for end in ends] == list(texts)
    expected = dict.fromkeys(("plain", "slips", "second", "third", "later"), "")
    expected |= {"never": "no_json", "wrong": "invalid"}
    assert stages(ends) == expected | {name: name for name in ("empty", "cut", "refused")} | {"lost": "error"}
    assert all((end.value == Founding(place="Lyon", year=1901)) == (end.loss is None) for end in ends)
    assert (counts.as_it_came, counts.repaired, counts.after_retry, counts.repaired_later) == (1, 1, (2, 1), 1)
    assert counts.lost == {"error": 1, "refused": 1, "empty": 1, "cut": 1, "no_json": 1, "invalid": 1}
    assert counts.asked == len(texts)
    assert counts.tries == sum(map(len, texts.values()))
    assert StructuredYield.from_json((tmp_path / "founding_yield.json").read_bytes()) == counts
    lost = {row.id: row for row in read_records(tmp_path / "founding_lost.jsonl", Dropped)}
    assert lost.keys() == {end.request.id for end in ends if end.loss}
    assert lost["refused"].reason == "refused for good: filtered"
    assert json.loads(lost["never"].row) == {"tries": 3, "last": "Lyon?"}
    assert [event.data["text"] for event in told if event.kind == "note"] == [counts.words]
    assert "1 came in the form, 1 were repaired, 2 came when asked again, 1 came when asked again (2)" in counts.words
    with pytest.raises(ValueError, match="1 of 12 answers are in no count"):
        StructuredYield.model_validate(counts.model_dump() | {"asked": 12})


def test_it_is_asked_again_with_what_was_wrong_and_another_seed(tmp_path: Path) -> None:
    told: list[Request] = []
    texts: dict[str, list[str | Answer]] = {
        "a": ['{"place": 7, "year": 1901}', GOOD],
        "b": [answer('{"place": "x', "length"), GOOD],
    }
    ends, _ = ask_structured(by_texts(texts, told), ask("a", "b"), form=FORM, way=Way(tmp_path, "f", chunk=9))
    assert stages(ends) == {"a": "", "b": ""}
    first, _, again, cut = told
    assert (first.id, again.id) == ("a", "a/again/1")
    assert first.seed != again.seed
    assert again.answer_schema == first.answer_schema == FORM.schema
    assert [message.role for message in again.messages] == ["user", "assistant", "user"]
    assert "place: expected a valid string, received 7" in again.messages[-1].text
    assert [message.role for message in cut.messages] == ["user"], "half an answer is not shown"
    assert "Be brief" in cut.messages[-1].text


def test_a_judge_rejects_what_has_the_right_form(tmp_path: Path) -> None:
    def judge(request: Request, value: Founding) -> Loss | None:
        return Loss(stage="rejected", reason="too early", detail=str(value.year)) if value.year < 1950 else None

    late = '{"place": "Nice", "year": 1950}'
    texts: dict[str, list[str | Answer]] = {"a": [GOOD, late], "b": [GOOD, GOOD]}
    told: list[Request] = []
    way = Way(tmp_path, "f", chunk=9, retries=1)
    ends, counts = ask_structured(by_texts(texts, told), ask("a", "b"), form=FORM, way=way, judge=judge)
    assert stages(ends) == {"a": "", "b": "rejected"}
    assert "too early: 1901" in told[-1].messages[-1].text
    assert (counts.after_retry, counts.lost) == ((1,), {"rejected": 1})


def test_what_is_logged_is_not_asked_again_and_another_parser_reads_it_anew(tmp_path: Path) -> None:
    texts: dict[str, list[str | Answer]] = {
        "a": ['{"place": "Lyon", "annum": 1901}', '{"place": "Lyon"}', GOOD],
        "b": ["no", '{"place": "Lyon"}', "no"],
        "c": [GOOD],
    }
    way = Way(tmp_path, "f", chunk=2)
    before, counts = ask_structured(by_texts(texts), ask(*texts), form=FORM, way=way)
    assert counts.after_retry == (0, 1)
    logged = (tmp_path / "f.jsonl").read_bytes()

    def nobody() -> ScriptedCompleter:
        raise AssertionError("asked again")

    assert ask_structured(nobody, ask(*texts), form=FORM, way=way) == (before, counts)

    def in_other_words(value: JsonObject) -> Founding:
        try:
            return FORM.read(value)
        except NotOfForm:
            raise NotOfForm(["this version says it in another way"]) from None

    again, same = ask_structured(nobody, ask(*texts), form=Form(FORM.schema, in_other_words), way=way)
    assert (stages(again), same) == (stages(before), counts), "how it complains changes no question"

    def in_latin(value: JsonObject) -> Founding:
        return FORM.read({("year" if key == "annum" else key): value[key] for key in value})

    ends, counts = ask_structured(nobody, ask(*texts), form=Form(FORM.schema, in_latin), way=way)
    assert stages(ends) == {"a": "", "b": "no_json", "c": ""}
    assert counts.as_it_came == 2, "the first text of a can be read now"
    assert (tmp_path / "f.jsonl").read_bytes() == logged


@pytest.mark.parametrize("schemas", ["offered", "refused", "ignored"])
def test_an_endpoint_that_offers_schemas_refuses_them_or_does_not_know_them(tmp_path: Path, schemas: str) -> None:
    words = [f"w{number}x" for number in range(30)]
    texts = dict.fromkeys(words, (f"Sure:\n```json\n{GOOD}\n```",)) if schemas != "offered" else {}
    told: list[Event] = []
    with (
        endpoint(Misbehaviour(schemas=schemas, texts=texts)) as server,
        RemoteCompleter(server.url, "m", concurrency=4, patience=ONCE) as completer,
    ):
        way = Way(tmp_path, "f", chunk=4, emit=told.append)
        ends, counts = ask_structured(lambda: completer, ask(*words), form=FORM, way=way)
        refused = server.met["schema refused"]
        assert server.formats[0] == {
            "type": "json_schema",
            "json_schema": {"name": "Founding", "strict": True, "schema": FORM.schema.json_schema},
        }
        assert server.paid.total() == 30, "a refusal is no answer, and is not paid"
        list(completer.complete([request.model_copy(update={"id": f"{request.id}/2"}) for request in ask(*words)]))
        assert server.met["schema refused"] == refused, "it is not asked that way again"
    assert counts.as_it_came == 30
    assert all(end.answers[0].finish == "stop" for end in ends)
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    if schemas == "refused":
        assert 1 <= refused <= 4, "those in flight when it was found out"
        assert len(said) == 2
        assert "f: answers are not held to the schema" in said[0]
        assert "Unrecognized request argument" in said[0]
    else:
        assert refused == 0
        assert len(said) == 1


def test_faults_of_an_endpoint_end_in_values_or_named_losses(tmp_path: Path) -> None:
    texts = {
        "fenced": (f"```json\n{GOOD}\n```",),
        "prose": ("I would say Lyon.", f"Well: {GOOD}"),
        "halved": ('{"place": "Ly...', GOOD),
        "closed": ('{"place": "Lyon", "year": 1901',),
        "other": ('{"town": "Lyon", "year": 1901}',),
        "silent": ("I will not say.",),
    }
    with (
        endpoint(Misbehaviour(share=0.3, faults=("429", "500", "half", "empty"), texts=texts, seed=4)) as server,
        RemoteCompleter(server.url, "m", patience=Patience(retries=9, base_s=0.001, longest_s=0.01)) as completer,
    ):
        ends, counts = ask_structured(lambda: completer, ask(*texts), form=FORM, way=Way(tmp_path, "f", chunk=4))
    assert counts.asked == 6
    assert counts.values + sum(counts.lost.values()) == 6
    found = stages(ends)
    assert (found["fenced"], found["prose"], found["closed"]) == ("", "", "")
    assert (found["other"], found["silent"]) == ("invalid", "no_json")
    assert len(ends[4].answers) == 3, "two further tries"


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "Unrecognized request argument supplied: response_format", True),
        (422, "body.response_format: Extra inputs are not permitted", True),
        (400, "Invalid schema for 'Founding': json_schema type is not supported", True),
        (400, "This model does not support structured outputs.", True),
        (400, "maximum context length is 4096 tokens", False),
        (500, "response_format broke the server", False),
        (429, "too many requests with response_format", False),
    ],
)
def test_a_refusal_of_the_schema_is_told_from_others(status: int, message: str, expected: bool) -> None:
    found = refused_wish(status, Complaint(message=message), frozenset({"schema", "logprobs"}))
    assert found == ("schema" if expected else None)
    assert refused_wish(status, Complaint(message=message), frozenset()) is None, "what was not sent is not refused"


def test_a_model_that_says_that_it_refuses_is_refused_for_good_and_paid() -> None:
    choice = {"finish_reason": "stop", "message": {"content": None, "refusal": "I cannot help with that."}}
    body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 6}}).encode()
    with pytest.raises(NoAnswer, match=r"the model refuses: I cannot help") as caught:
        read_completion(ask("a")[0], body)
    assert (caught.value.passing, caught.value.completion_tokens) == (False, 6)


def test_two_requests_with_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompletionError, match="different ids"):
        ask_structured(by_texts({}), ask("a") * 2, form=FORM, way=Way(tmp_path, "f", chunk=4))
