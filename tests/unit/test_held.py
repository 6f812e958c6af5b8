"""Answers held to a schema: reasoning before the form, what cannot be said, faults in the middle, masks on logits."""

import json
from collections.abc import Iterator

import llguidance
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tutelage.completers.ct2 import CTranslate2Completer
from tutelage.completers.decoding import Row
from tutelage.completers.held import Forms, Hold, masked
from tutelage.completers.local import LocalCompleter
from tutelage.completers.structured.asking import Way, ask_structured
from tutelage.completers.structured.forms import form_of_schema
from tutelage.completers.workers import ROWS_A_WORKER, decode
from tutelage.events import Event
from tutelage.models.bundle import Bundle
from tutelage.models.reasoning import Thoughts
from tutelage.models.template import ChatTemplate
from tutelage.models.tiny import TEMPLATE, tiny_model
from tutelage.models.token_bytes import token_bytes_of
from tutelage.records import AnswerSchema, Request, Sampling, user

TINY = tiny_model()
SHORT = form_of_schema(
    "Short",
    {
        "type": "object",
        "properties": {"word": {"type": "string", "maxLength": 8}, "sure": {"type": "boolean"}},
        "required": ["word", "sure"],
        "additionalProperties": False,
    },
)
THINKS_FIRST = TEMPLATE.replace("assistant\n{%", "assistant\n<think>\n{%")
MAY_THINK = TEMPLATE + "{# <think></think> #}"


def thinking(template: str, *, special: bool = False) -> Bundle:
    """The tiny model with a template that names reasoning markers, perhaps special tokens of the tokenizer."""
    tokenizer = tiny_model().tokenizer
    if special:
        tokenizer.add_tokens([AddedToken(one, special=True, normalized=False) for one in ("<think>", "</think>")])
    tokenizer.chat_template = template
    return Bundle(TINY.model, tokenizer, ChatTemplate(tokenizer), TINY.source)


def taken(bundle: Bundle, text: str) -> tuple[int, bool]:
    """How many tokens of ``text`` may come, one after another, and whether nothing may follow then."""
    hold = Forms(bundle).begin(SHORT.schema)
    assert hold is not None
    ids = bundle.tokenizer(text, add_special_tokens=False)["input_ids"]
    for number, token in enumerate(ids):
        if not hold.allowed()[token // 32] >> (token % 32) & 1:
            return number, False
        if hold.take(token):
            assert number == len(ids) - 1
            return len(ids), True
    return len(ids), False


def asked(count: int, **settings: float) -> list[Request]:
    settings = {"temperature": 1.0, "max_tokens": 80, **settings}
    return [
        Request(id=str(number), messages=(user("Say a word."),), sampling=Sampling(**settings), seed=number)
        for number in range(count)
    ]


def wanting(requests: list[Request], schema: AnswerSchema = SHORT.schema) -> list[Request]:
    return [request.model_copy(update={"answer_schema": schema}) for request in requests]


JSON = '{"word": "the", "sure": true}'


def test_the_form_is_all_that_may_be_written_and_white_space_in_it_is_one_piece() -> None:
    assert taken(TINY, JSON)[1]
    assert taken(TINY, '{\n    "word":"the"\n    ,"sure":\n        true}')[1]
    for wrong in (
        f" {JSON}",
        f"Sure: {JSON}",
        '{  "word": "the"',
        '{\n\n"word"',
        '{"sure": true',
        '{"word": "nine chars"',
    ):
        assert not taken(TINY, wrong)[1]


@pytest.mark.parametrize("special", [False, True])
def test_a_prompt_that_opens_reasoning_is_gone_on_with_until_it_is_closed(special: bool) -> None:
    bundle = thinking(THINKS_FIRST, special=special)
    assert bundle.template.thoughts == Thoughts("<think>", "</think>", opened=True)
    assert taken(bundle, f'Is it {{"a"? naïve\n\n</think>\n\n{JSON}')[1]
    assert taken(bundle, f"</think>{JSON}")[1]
    assert not taken(bundle, f"Why </think> not </think>{JSON}")[1], "once"
    assert not taken(bundle, JSON)[1], "it is a thought as yet"
    assert not taken(bundle, "Hm<|im_end|>")[1], "a thought does not end the answer"


@pytest.mark.parametrize("special", [False, True])
def test_a_model_that_may_reason_may_do_so_before_the_form_and_nowhere_else(special: bool) -> None:
    bundle = thinking(MAY_THINK, special=special)
    assert bundle.template.thoughts == Thoughts("<think>", "</think>", opened=False)
    assert taken(bundle, JSON)[1]
    assert taken(bundle, f"<think>\nWhy?\n</think>\n\n{JSON}")[1]
    assert not taken(bundle, f"Why?</think>{JSON}")[1]
    assert not taken(TINY, f"<think>Why?</think>{JSON}")[1], "a template without markers"
    assert TINY.template.thoughts is None


def test_a_thought_that_was_cut_is_no_answer() -> None:
    with LocalCompleter(thinking(THINKS_FIRST), batch_size=4) as completer:
        answers = list(completer.complete(wanting(asked(4, max_tokens=12))))
    assert [(answer.finish, answer.text) for answer in answers] == [("length", "")] * 4
    assert all(answer.reasoning for answer in answers)


def test_an_answer_ends_where_its_form_does_and_log_probabilities_are_those_of_the_free_model() -> None:
    prompt = tuple(TINY.template.encode_prompt((user("Say a word."),)))
    rows = [
        Row(at, prompt, Sampling(temperature=1.0, max_tokens=80), seed=at, hold=Forms(TINY).begin(SHORT.schema))
        for at in range(6)
    ]
    for row in decode(TINY.model, rows, slots=4, end_ids=TINY.template.end_ids, logprobs=True):
        assert row.closed
        assert row.end is None
        with torch.inference_mode():
            logits = TINY.model(input_ids=torch.tensor([[*prompt, *row.tokens]])).logits[0, len(prompt) - 1 : -1]
        plain = logits.float().log_softmax(-1).gather(-1, torch.tensor(row.tokens)[:, None])[:, 0]
        assert torch.allclose(plain, torch.tensor(row.logprobs), atol=1e-4)


def test_tokens_are_counted_without_an_end_that_was_not_written_and_the_last_token_may_complete_the_form() -> None:
    with LocalCompleter(TINY, batch_size=4) as completer:
        whole = {answer.request_id: answer for answer in completer.complete(wanting(asked(4)))}
        for name, answer in whole.items():
            assert answer.completion_tokens is not None
            one = wanting([request for request in asked(4, max_tokens=answer.completion_tokens) if request.id == name])
            assert next(completer.complete(one)).finish == "stop"
            one = wanting([r for r in asked(4, max_tokens=answer.completion_tokens - 1) if r.id == name])
            assert next(completer.complete(one)).finish == "length"


def test_requests_without_a_schema_are_answered_as_if_there_were_no_others() -> None:
    free = asked(10, max_tokens=24)
    held = [one.model_copy(update={"id": f"held/{one.id}"}) for one in wanting(asked(10))]
    with LocalCompleter(TINY, batch_size=20, logprobs=True) as completer:
        alone = {answer.request_id: answer.text for answer in completer.complete(free)}
        mixed = {answer.request_id: answer for answer in completer.complete([*free, *held])}
        apart = {answer.request_id: answer.text for answer in completer.complete(held)}
    assert {name: mixed[name].text for name in alone} == alone
    assert {name: mixed[name].text for name in apart} == apart
    assert all(mixed[name].finish == "stop" for name in apart)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_several_threads_hold_their_rows_to_several_forms() -> None:
    numbers = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "additionalProperties": False}
    other = form_of_schema("Other", {**numbers, "required": ["n"]})
    requests = wanting(asked(2 * ROWS_A_WORKER))
    requests = [*requests[::2], *wanting(requests[1::2], other.schema)]
    with LocalCompleter(TINY, batch_size=2 * ROWS_A_WORKER) as completer:
        answers = list(completer.complete(requests))
    assert {answer.request_id for answer in answers} == {request.id for request in requests}
    for answer in answers:
        form = other if int(answer.request_id) % 2 else SHORT
        form.read(json.loads(answer.text))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}, "uniqueItems"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a"}}}, "does not fetch"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)b"}}}, "look-around"),
    ],
)
def test_a_schema_that_the_grammar_cannot_say_is_asked_for_in_words_and_said_once(
    schema: dict, why: str, tmp_path
) -> None:
    form, told = form_of_schema("Odd", schema), list[Event]()
    with LocalCompleter(TINY, batch_size=4) as completer:
        way = Way(tmp_path, "odd", chunk=4, retries=1, emit=told.append)
        ends, counts = ask_structured(lambda: completer, asked(3, max_tokens=9), form=form, way=way)
        free = [answer.text for answer in completer.complete(asked(3, max_tokens=9))]
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    assert len([text for text in said if "answers are not held to the schema" in text]) == 1
    assert why in said[0]
    assert [end.answers[0].text for end in ends] == free
    assert sum(counts.lost.values()) == 3


def test_a_refused_schema_is_not_said_of_another_that_is_held_to(tmp_path) -> None:
    odd = form_of_schema("Odd", {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}})
    told: list[Event] = []
    with LocalCompleter(TINY, batch_size=4) as completer:
        for label, form in (("odd", odd), ("plain", SHORT)):
            way = Way(tmp_path, label, chunk=4, emit=told.append)
            ask_structured(lambda: completer, asked(2, max_tokens=9), form=form, way=way)
        assert "uniqueItems" in completer.schema_refusal(odd.schema)
        assert completer.schema_refusal(SHORT.schema) == ""
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    assert [text.partition(":")[0] for text in said if "not held to the schema" in text] == ["odd"]


def test_the_fast_engine_says_that_it_holds_to_nothing(tmp_path) -> None:
    pytest.importorskip("ctranslate2")
    with CTranslate2Completer.of(TINY, workers=1, batch_size=4, cache=tmp_path) as completer:
        list(completer.complete(asked(1, max_tokens=3)))
        (free,) = completer.complete(asked(1, max_tokens=3))
        (wanted,) = completer.complete(wanting(asked(1, max_tokens=3)))
        assert wanted.text == free.text
        assert "engines.sampling: {kind: transformers}" in completer.schema_refusal(SHORT.schema)


def test_a_grammar_that_gives_up_lets_the_answer_go_on() -> None:
    forms = Forms(TINY)
    assert forms.begin(SHORT.schema) is not None
    limits = llguidance.LLParserLimits(step_lexer_fuel=1, step_max_items=1)
    grammar = llguidance.LLMatcher.grammar_from_json_schema(SHORT.schema.json_schema)
    hold = Hold(llguidance.LLMatcher(forms._read_tokenizer(), grammar, log_level=0, limits=limits), forms, SHORT.schema)
    for token in TINY.tokenizer('{"word": "the', add_special_tokens=False)["input_ids"]:
        hold.allowed()
        assert not hold.take(token)
    assert hold.free
    assert (hold.allowed() == -1).all()
    assert forms.refusal(SHORT.schema)
    logits = torch.zeros(1, TINY.model.config.vocab_size)
    assert masked(logits, [hold]) is logits


def test_masks_leave_free_rows_and_given_logits_alone_and_reach_over_padded_vocabularies() -> None:
    hold = Forms(TINY).begin(SHORT.schema)
    size = len(TINY.tokenizer)
    logits = torch.randn(3, size + 70, generator=torch.Generator().manual_seed(0)).bfloat16()
    before = logits.clone()
    found = masked(logits, [None, hold, None])
    assert torch.equal(logits, before)
    assert torch.equal(found[[0, 2]], before[[0, 2]])
    possible = torch.nonzero(found[1] > -torch.inf).flatten().tolist()
    assert sorted(TINY.tokenizer.decode([token]) for token in possible) == ["{"]
    assert torch.equal(found[1, possible], before[1, possible])
    assert torch.equal(masked(logits[:, : size - 3], [hold] * 3).argmax(-1), torch.tensor(possible * 3))
    assert masked(logits, [None] * 3) is logits


def sentence_pieces() -> PreTrainedTokenizerFast:
    """A tokenizer with marks for spaces and single bytes, as those of Llama 2 and Gemma."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "▁a", "{", "é", '":', '▁"']
    backend = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, [("▁", "a")], byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


@pytest.mark.parametrize("tokenizer", [TINY.tokenizer, sentence_pieces()], ids=["byte level", "sentence pieces"])
def test_the_grammar_reads_the_bytes_that_tokens_have_elsewhere(tokenizer: PreTrainedTokenizerFast) -> None:
    read = llguidance.LLTokenizer(tokenizer.backend_tokenizer.to_str(), eos_token=tokenizer.eos_token_id)
    known = token_bytes_of(tokenizer)
    assert known is not None
    plain = [token for token in known.of if not read.is_special_token(token)]
    assert {token: read.decode_bytes([token]) for token in plain} == {token: known.of[token] for token in plain}
    no_text = {token for token, written in known.of.items() if written == b"\xff"}  # no letter holds it
    assert set(known.of) - set(plain) == set(tokenizer.all_special_ids) | set(known.special.values()) | no_text


def test_a_tokenizer_whose_tokens_are_no_bytes_is_said() -> None:
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2, "<e>": 3}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<e>", chat_template="{% for m in messages %}{{ m.content }}<e>{% endfor %}"
    )
    forms = Forms(Bundle(TINY.model, tokenizer, ChatTemplate(tokenizer), TINY.source))
    assert forms.begin(SHORT.schema) is None
    assert forms.begin(None) is None
    assert "the tokenizer cannot be read" in forms.refusal(SHORT.schema)
