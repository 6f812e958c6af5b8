"""Held answers against jsonschema, and masks against a slow check of every token, whatever the form."""

import ast
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import regex
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tutelage.completers.held import Forms, Hold, masked
from tutelage.completers.local import LocalCompleter
from tutelage.completers.structured.forms import Form, form_of
from tutelage.construct.instructions.assessing import form_of_assessment
from tutelage.judging.reading import PREFERENCE, scores_schema
from tutelage.judging.rubric import Criterion, Rubric
from tutelage.models.tiny import tiny_model
from tutelage.models.token_bytes import token_bytes_of
from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.records import AnswerSchema, Request, Sampling, user

SRC = Path(__file__).parents[2] / "src"
TINY = tiny_model()
FORMS = Forms(TINY)

NAMES = st.text(min_size=1, max_size=6)
BOUNDS = st.tuples(st.integers(-300, 300), st.integers(0, 300)).map(lambda pair: (pair[0], sum(pair)))
LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.integers(0, 6).map(lambda most: {"type": "string", "maxLength": most}),
    BOUNDS.map(lambda ends: {"type": "integer", "minimum": ends[0], "maximum": ends[1]}),
    st.lists(st.one_of(NAMES, st.integers(-99, 99), st.booleans()), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
)


def objects(inside: st.SearchStrategy) -> st.SearchStrategy:
    """Objects of up to three keys, some of which may be left out."""
    return st.tuples(st.dictionaries(NAMES, inside, min_size=1, max_size=3), st.randoms(use_true_random=False)).map(
        lambda made: {
            "type": "object",
            "properties": made[0],
            "required": [name for name in made[0] if made[1].random() < 0.8],
            "additionalProperties": False,
        }
    )


PARTS = st.one_of(
    LEAVES,
    LEAVES.map(lambda leaf: {"type": "array", "items": leaf, "maxItems": 3}),
    objects(LEAVES),
    st.lists(LEAVES, min_size=2, max_size=2).map(lambda either: {"anyOf": either}),
)


@given(objects(PARTS), st.integers(0, 2**32), st.sampled_from([0.0, 1.0, 3.0]))
@settings(max_examples=12)
def test_an_answer_that_ends_is_of_the_form(schema: dict, seed: int, temperature: float) -> None:
    with LocalCompleter(TINY, batch_size=2) as completer:
        completer._forms = FORMS
        form = AnswerSchema(name="any", json_schema=schema)
        sampling = Sampling(temperature=temperature, max_tokens=1500)
        ask = Request(id="1", messages=(user("Hi"),), sampling=sampling, seed=seed, answer_schema=form)
        answer = next(completer.complete([ask]))
        assert completer.schema_refusal(form) == ""
    assert answer.finish == "stop", "no text, list or number is without a bound here"
    Draft202012Validator(schema).validate(json.loads(answer.text))


@given(st.integers(1, 7), st.floats(0.1, 1.0), st.integers(0, 9))
@settings(max_examples=3)
def test_held_answers_do_not_depend_on_the_rest_of_the_batch(slots: int, top_p: float, top_k: int) -> None:
    sampling = Sampling(temperature=1.0, top_p=top_p, top_k=top_k, max_tokens=60, repetition_penalty=1.1)
    requests = [
        Request(
            id=str(number),
            messages=(user("word " * (1 + number % 3)),),
            sampling=sampling,
            seed=number,
            answer_schema=AnswerSchema(name="three", json_schema=SCHEMA) if number % 3 else None,
        )
        for number in range(7)
    ]
    said = []
    for size in (slots, 7):
        with LocalCompleter(TINY, batch_size=size) as completer:
            completer._forms = FORMS
            said.append({answer.request_id: answer.text for answer in completer.complete(requests)})
    assert said[0] == said[1]


SCHEMA = {
    "type": "object",
    "properties": {
        "the": {"type": "integer", "minimum": 0, "maximum": 99},
        "is": {"enum": ["the river", "there", 7]},
        "s": {"type": "string", "maxLength": 3},
    },
    "required": ["the", "is", "s"],
    "additionalProperties": False,
}
GAP = rb"(?: |\n {0,8})?"
LETTER = (
    rb"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    rb"|\xf4[\x80-\x8f][\x80-\xbf]{2}|\\[\"\\/bfnrt]|\\u[0-9a-fA-F]{4})"
)
WRITTEN = regex.compile(
    GAP.join(
        [
            rb"\{",
            rb'"the"',
            rb":",
            rb"(?:0|[1-9][0-9]?)",
            rb",",
            rb'"is"',
            rb":",
            rb'(?:"the river"|"there"|7)',
            rb",",
            rb'"s"',
            rb":",
            rb'"' + LETTER + rb'{0,3}"',
            rb"\}",
        ]
    )
)


def fits(text: bytes) -> bool:
    """Whether something of the form begins with ``text``: an expression that was written by hand, matched in part.

    In texts JSON allows the character of deletion too, which the grammar does not write.
    """
    return WRITTEN.fullmatch(text, partial=True) is not None


def set_of(hold: Hold) -> set[int]:
    bits = np.unpackbits(hold.allowed().view(np.uint8), bitorder="little")
    return set(np.flatnonzero(bits).tolist())


@given(st.integers(0, 2**32))
@settings(max_examples=8)
def test_greedy_answers_are_the_likeliest_of_what_a_slow_check_lets_through(seed: int) -> None:
    known = token_bytes_of(TINY.tokenizer)
    assert known is not None
    special = set(known.special.values())
    plain = {token: written for token, written in known.of.items() if token not in special}
    hold = FORMS.begin(AnswerSchema(name="three", json_schema=SCHEMA))
    assert hold is not None
    draw, text, ended = torch.Generator().manual_seed(seed), b"", False
    while not ended:
        logits = torch.randn(1, len(TINY.tokenizer), generator=draw)
        slow = {token for token, written in plain.items() if fits(text + written)}
        fast = set_of(hold)
        assert fast <= slow, [known.of[token] for token in fast - slow]
        left = {known.of[token] for token in slow - fast}
        if len(fast) == 1 and left:  # one way to go on: in the tokens that the tokenizer itself would write it in
            rest = sorted([known.of[token] for token in slow], key=len)
            assert all(rest[-1].startswith(one) for one in rest)
        else:
            assert all(b"\\" in (text + one)[-6:] for one in left), f"{text!r}, then {left}"
        token = int(masked(logits, [hold]).argmax())
        assert token == max(fast, key=lambda one: float(logits[0, one]))
        text += known.of[token]
        ended = hold.take(token)
    assert WRITTEN.fullmatch(text)
    Draft202012Validator(SCHEMA).validate(json.loads(text))


def modules() -> Iterator[str]:
    """The modules that make a form of a class."""
    for file in sorted((SRC / "tutelage").rglob("*.py")):
        calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        if any(isinstance(call.func, ast.Name) and call.func.id == "form_of" for call in calls):
            yield ".".join(file.relative_to(SRC).with_suffix("").parts)


def made() -> Iterator[AnswerSchema]:
    """All schemas that the package asks for."""
    for name in modules():
        found = vars(importlib.import_module(name))
        for value in found.values():
            if isinstance(value, Form):
                yield value.schema
            elif isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == name:
                yield form_of(value).schema
    yield form_of_assessment(InstructionsSource(kind="instructions")).schema
    yield PREFERENCE
    yield scores_schema(Rubric((Criterion("tone", "Is it kind?"),)))


ASKED_FOR = tuple(dict.fromkeys(made()))


@pytest.mark.parametrize("schema", ASKED_FOR, ids=lambda schema: schema.name)
def test_every_form_that_the_package_asks_for_is_held_to(schema: AnswerSchema) -> None:
    assert FORMS.begin(schema) is not None, FORMS.refusal(schema)
    assert FORMS.refusal(schema) == ""


def test_the_forms_of_the_package_were_found() -> None:
    names = {schema.name for schema in ASKED_FOR}
    assert names >= {"Written", "People", "Assessment", "Critique", "Proposals", "Evolved", "Grounded", "Reasoned"}
    assert len(names) >= 14
