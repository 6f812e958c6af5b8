"""The default model held to a schema: its whole vocabulary, and JSON where it would write none."""

import json

import llguidance
import pytest
from jsonschema import Draft202012Validator

from tutelage.completers.local import LocalCompleter
from tutelage.completers.structured.forms import form_of_schema
from tutelage.models.load import load_bundle
from tutelage.models.token_bytes import token_bytes_of
from tutelage.records import Request, Sampling, user

pytestmark = pytest.mark.slow

FORM = form_of_schema(
    "Answer",
    {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "maxLength": 60},
            "sure": {"type": "boolean"},
            "level": {"type": "string", "enum": ["basic", "expert"]},
        },
        "required": ["reason", "sure", "level"],
        "additionalProperties": False,
    },
)


def test_every_answer_is_of_the_form_and_every_token_has_the_bytes_that_the_grammar_reads() -> None:
    bundle = load_bundle("default", dtype="float32")
    read = llguidance.LLTokenizer(bundle.tokenizer.backend_tokenizer.to_str(), eos_token=[*bundle.template.end_ids])
    known = token_bytes_of(bundle.tokenizer)
    assert known is not None
    plain = [token for token in known.of if not read.is_special_token(token)]
    assert len(plain) > 48_000
    assert all(read.decode_bytes([token]) == known.of[token] for token in plain)
    asked = [
        Request(
            id=str(number),
            messages=(user("Name a river."),),
            sampling=Sampling(temperature=number / 2, top_p=0.9, max_tokens=90),
            seed=number,
            answer_schema=FORM.schema,
        )
        for number in range(4)
    ]
    with LocalCompleter(bundle, batch_size=4) as completer:
        answers = list(completer.complete(asked))
    assert [answer.finish for answer in answers] == ["stop"] * 4
    for answer in answers:
        Draft202012Validator(FORM.schema.json_schema).validate(json.loads(answer.text))
