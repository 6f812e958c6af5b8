"""The decoder against transformers' own ``generate``, whatever the mixture of prompts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from tutelage.completers import decoding
from tutelage.completers.decoding import Decoder, Row, check_model
from tutelage.errors import ModelError
from tutelage.models.tiny import tiny_model
from tutelage.records import Sampling

TINY = tiny_model().model
TOKENS = st.integers(4, TINY.config.vocab_size - 1)
PROMPTS = st.lists(
    st.tuples(st.lists(TOKENS, min_size=1, max_size=24).map(tuple), st.integers(1, 14)),
    min_size=1,
    max_size=8,
)


def run(model: PreTrainedModel, rows: list[Row], slots: int, end_ids: tuple[int, ...] = ()) -> list[Row]:
    done = list(Decoder(model, rows, slots=slots, end_ids=end_ids, logprobs=True).finished())
    assert sorted(row.index for row in done) == list(range(len(rows)))
    return sorted(done, key=lambda row: row.index)


def generate(model: PreTrainedModel, prompt: tuple[int, ...], count: int, end_ids: tuple[int, ...]) -> list[int]:
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=list(end_ids) or None,
        pad_token_id=0,
    )
    return out[0, len(prompt) :].tolist()


@given(PROMPTS, st.integers(1, 5), st.lists(TOKENS, max_size=12).map(tuple))
@settings(max_examples=12, deadline=None)
def test_greedy_answers_are_those_of_generate(
    asked: list[tuple[tuple[int, ...], int]], slots: int, shared: tuple[int, ...]
) -> None:
    # An end token that this model does write, so that rows finish at different times.
    end_ids = tuple(generate(TINY, shared + asked[0][0], 6, ())[3:4])
    rows = [Row(at, shared + prompt, Sampling(max_tokens=n), seed=0) for at, (prompt, n) in enumerate(asked)]
    for row in run(TINY, rows, slots, end_ids):
        expected = generate(TINY, row.prompt, row.sampling.max_tokens, end_ids)
        found = row.tokens + ([expected[-1]] if row.stopped else [])
        assert found == expected
        assert row.stopped == (expected[-1] in end_ids)


@given(PROMPTS, st.integers(1, 5))
@settings(max_examples=6, deadline=None)
def test_log_probabilities_are_those_of_the_plain_forward_pass(
    asked: list[tuple[tuple[int, ...], int]], slots: int
) -> None:
    rows = [Row(at, p, Sampling(max_tokens=n, temperature=1.0), seed=at) for at, (p, n) in enumerate(asked)]
    for row in run(TINY, rows, slots):
        ids = torch.tensor([[*row.prompt, *row.tokens]])
        with torch.inference_mode():
            plain = TINY(input_ids=ids).logits[0, len(row.prompt) - 1 : -1].log_softmax(-1)
        own = torch.tensor(row.logprobs)
        assert torch.allclose(plain.gather(-1, ids[0, len(row.prompt) :, None])[:, 0], own, atol=1e-4)


@given(PROMPTS, st.integers(1, 5), st.integers(6, 12))
@settings(max_examples=6, deadline=None)
def test_sampled_answers_do_not_depend_on_the_rest_of_the_batch(
    asked: list[tuple[tuple[int, ...], int]], slots: int, other: int
) -> None:
    def rows() -> list[Row]:
        return [Row(at, p, Sampling(max_tokens=n, temperature=1.0), seed=7 + at) for at, (p, n) in enumerate(asked)]

    # In float32 rounding changes a draw with a chance of about 1e-6.
    assert [row.tokens for row in run(TINY, rows(), slots)] == [row.tokens for row in run(TINY, rows(), other)]


def test_prompts_longer_than_one_prefill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PREFILL_TOKENS", 50)
    prompts = [tuple(range(5 + at, 35 + at)) for at in range(7)] * 2
    rows = [Row(at, prompt, Sampling(max_tokens=40), seed=0) for at, prompt in enumerate(prompts)]
    for row in run(TINY, rows, 5):
        assert row.tokens == generate(TINY, row.prompt, 40, ())


SHAPE = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def models() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    return {
        "grouped heads, normed queries": Qwen3ForCausalLM(Qwen3Config(**SHAPE)),
        "sliding window": MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=6)),
        "full and sliding layers": Gemma3ForCausalLM(
            Gemma3TextConfig(
                **SHAPE,
                sliding_window=5,
                layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                query_pre_attn_scalar=8,
            )
        ),
    }


@pytest.mark.parametrize("name", ["grouped heads, normed queries", "sliding window", "full and sliding layers"])
def test_other_architectures(name: str) -> None:
    model = models()[name].eval()
    check_model(model)
    shared = tuple(range(10, 23))
    prompts = [shared + tuple(range(30, 30 + n)) for n in (1, 9, 4, 17, 4)] + [tuple(range(60, 75))]
    for given_prompts in (prompts, prompts[:-1]):
        rows = [Row(at, prompt, Sampling(max_tokens=12), seed=0) for at, prompt in enumerate(given_prompts)]
        for row in run(model, rows, 2):
            assert row.tokens == generate(model, row.prompt, 12, ())


def test_an_architecture_that_does_not_fit_is_refused() -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, state_size=4)).eval()
    with pytest.raises(ModelError, match="cannot run this architecture"):
        check_model(model)


def test_the_model_is_left_as_it_was() -> None:
    model = tiny_model().model
    before = model.config._attn_implementation
    model.train()
    rows = [Row(at, (5, 6, 7 + at), Sampling(max_tokens=2 + at), seed=0) for at in range(4)]
    for _ in Decoder(model, rows, slots=2, end_ids=()).finished():
        assert model.training
        assert model.config._attn_implementation == before
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(("positions", "fits"), [(slice(-2, -1), True), (slice(None), False)])
def test_the_check_tells_rounding_from_another_computation(positions: slice, fits: bool) -> None:
    """In bfloat16 one token a tenth or more off is rounding, and a run must not end of it; all of them are a fault."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(**SHAPE)).eval().to(torch.bfloat16)

    def disturb(_module: object, _args: object, given: dict[str, object], output: CausalLMOutputWithPast) -> None:
        if "slots" not in given:  # the plain pass that the decoder is compared with
            assert output.logits is not None
            output.logits[:, positions] += output.logits.std() * torch.randn_like(output.logits[:, positions])

    model.register_forward_hook(disturb, with_kwargs=True)
    if fits:
        check_model(model)
    else:
        with pytest.raises(ModelError, match="standard deviations in the mean"):
            check_model(model)
