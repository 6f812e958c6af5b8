"""The tiny model and the plain log-probabilities."""

import math

import pytest
import torch

from tutelage.models.logprobs import token_logprobs
from tutelage.models.tiny import tiny_model
from tutelage.records import user


def test_equal_seeds_give_equal_weights_and_leave_the_global_state() -> None:
    before = torch.get_rng_state()
    one, same, other = tiny_model(seed=1), tiny_model(seed=1), tiny_model(seed=2)
    assert torch.equal(before, torch.get_rng_state())
    weights = [bundle.model.get_input_embeddings().weight for bundle in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert one.source.identity != other.source.identity


def test_every_text_survives_the_tokenizer() -> None:
    tokenizer = tiny_model().tokenizer
    text = "the answer é 日本 🙂 \x00\t  \n end"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode("the answer")) < len("the answer")


def test_it_generates_until_its_end_token() -> None:
    bundle = tiny_model()
    prompt = torch.tensor([bundle.template.encode_prompt((user("Hi"),))])
    answer = bundle.model.generate(prompt, max_new_tokens=4, do_sample=False)
    assert answer.shape[1] <= prompt.shape[1] + 4
    assert bundle.model.generation_config.eos_token_id == bundle.template.end_ids[0]


def test_log_probabilities_by_hand() -> None:
    model = tiny_model(hidden=32, layers=1).model
    ids = torch.tensor([1, 70, 80, 90])
    targets = torch.tensor([False, True, False, True])
    with torch.no_grad():
        found = token_logprobs(model, ids, targets)
        expected = []
        for position in (1, 3):
            scores = [float(score) for score in model(input_ids=ids[None, :position]).logits[0, -1]]
            expected.append(scores[ids[position]] - math.log(sum(math.exp(score) for score in scores)))
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_first_token_cannot_be_a_target() -> None:
    with pytest.raises(ValueError, match="first token"):
        token_logprobs(tiny_model().model, torch.tensor([1, 2]), torch.tensor([True, False]))
