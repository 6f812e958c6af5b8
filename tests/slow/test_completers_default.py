"""The engines on the default model."""

from pathlib import Path

import pytest
import torch

from tutelage.completers.conversion import converted_folder
from tutelage.completers.ct2 import CTranslate2Completer
from tutelage.completers.local import LocalCompleter
from tutelage.models.bundle import Bundle
from tutelage.models.load import load_bundle
from tutelage.records import Answer, Request, Sampling, user

pytestmark = pytest.mark.slow

QUESTIONS = (
    "Why is the sky blue? Answer in one sentence.",
    "Name three colors.",
    "The Varn station opened in 1931 and employs 40 people. When did it open? Answer in a few words.",
    "Write a haiku about rain.",
    "What is 7 + 5?",
    "Say hello in all lowercase.",
)


def asked(count: int, sampling: Sampling, first: int = 0) -> list[Request]:
    return [
        Request(
            id=f"{number}",
            messages=(user(QUESTIONS[number % len(QUESTIONS)] + " Thank you." * (number // len(QUESTIONS))),),
            sampling=sampling,
            seed=number,
        )
        for number in range(first, first + count)
    ]


def by_id(answers: list[Answer]) -> list[Answer]:
    return sorted(answers, key=lambda answer: int(answer.request_id))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("default")


def test_greedy_answers_in_float32_are_those_of_generate() -> None:
    bundle = load_bundle("default", dtype="float32")
    requests = asked(6, Sampling(max_tokens=24))
    answers = by_id(list(LocalCompleter(bundle, batch_size=4).complete(requests)))
    for request, answer in zip(requests, answers, strict=True):
        ids = torch.tensor([bundle.template.encode_prompt(request.messages)])
        written = bundle.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=24,
            do_sample=False,
            eos_token_id=list(bundle.template.end_ids),
            pad_token_id=0,
        )[0, ids.shape[1] :].tolist()
        stopped = written[-1] in bundle.template.end_ids
        assert answer.text == bundle.tokenizer.decode(written[:-1] if stopped else written)
        assert answer.finish == ("stop" if stopped else "length")
        assert answer.completion_tokens == len(written)
        assert answer.prompt_tokens == ids.shape[1]


def test_the_reference_engine_repeats_itself_in_bfloat16(bundle: Bundle) -> None:
    completer = LocalCompleter(bundle, batch_size=8)
    requests = asked(12, Sampling(max_tokens=24, temperature=0.8))
    assert list(completer.complete(requests)) == list(completer.complete(requests))


def test_the_fast_engine_repeats_a_chunk_whatever_ran_before(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    folder = converted_folder(bundle, cache=tmp_path)
    assert converted_folder(bundle, cache=tmp_path) == folder
    sampling = Sampling(max_tokens=32, temperature=0.9)
    with CTranslate2Completer(folder, bundle=bundle, workers=2, batch_size=4) as completer:
        first = by_id(list(completer.complete(asked(12, sampling))))
        between = by_id(list(completer.complete(asked(9, sampling, first=12))))
        again = by_id(list(completer.complete(asked(12, sampling))))
    with CTranslate2Completer(folder, bundle=bundle, workers=2, batch_size=4) as fresh:
        assert by_id(list(fresh.complete(asked(9, sampling, first=12)))) == between
    assert first == again
    assert len({answer.text for answer in first}) > 9
    for answer in first:
        assert (answer.finish == "length") == (answer.completion_tokens == 32) or answer.finish == "stop"
        assert "<|im_end|>" not in answer.text
