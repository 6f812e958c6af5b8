"""What documents begin with alike is computed once, and nothing changes: logits, loss, gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedModel

from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.tune.training import cpu_attention
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import Packed, pack
from tutelage.tune.training.network import Network

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CPU = torch.device("cpu")
Tokens = st.lists(st.integers(0, 3), min_size=1, max_size=12)
"""Of four tokens, so that documents often begin alike."""


def encoded(ids: list[int]) -> Encoded:
    learned = np.arange(len(ids)) % 3 != 1
    return Encoded(ids=np.array(ids, dtype=np.int32), targets=learned)


def build(kind: type[PreTrainedModel], config: object) -> PreTrainedModel:
    with quiet():
        torch.manual_seed(0)
        model = kind(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    return model.double()


@pytest.fixture(scope="module", params=["llama", "sliding window"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    if request.param == "llama":
        return build(LlamaForCausalLM, LlamaConfig(**SIZES))
    return build(MistralForCausalLM, MistralConfig(**SIZES, sliding_window=5))


@given(st.lists(Tokens, min_size=1, max_size=7))
@settings(max_examples=80, deadline=None)
def test_every_document_is_found_again_in_the_row(texts: list[list[int]]) -> None:
    documents = [encoded(ids) for ids in texts]
    plain, shared = pack(documents, CPU), pack(documents, CPU, share=True)
    whole = [token for ids in texts for token in ids]
    beginnings = {tuple(ids[: end + 1]) for ids in texts for end in range(len(ids))}
    assert shared.ids.shape == shared.positions.shape == (1, len(beginnings))
    assert shared.spread(shared.ids, 1)[0].tolist() == whole
    assert torch.equal(shared.spread(shared.positions, 1), plain.positions)
    assert torch.equal(shared.collect(shared.spread(shared.ids, 1), 1), shared.ids)
    assert torch.equal(shared.targets, plain.targets)
    assert torch.equal(shared.owners, plain.owners)
    assert torch.equal(shared.ids[0, shared.sources], plain.ids[0, plain.sources])


def outcome(network: Network, packed: Packed, model: PreTrainedModel) -> list[torch.Tensor]:
    losses = network.predict(packed).token_losses()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = torch.linspace(0.5, 1.5, len(losses), dtype=losses.dtype)
    gradients = torch.autograd.grad((losses * weights).sum(), trained, allow_unused=True)
    return [losses, *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("block", [256, 6])
@given(st.lists(Tokens.filter(lambda ids: len(ids) > 1), min_size=2, max_size=6))
@settings(max_examples=15, deadline=None)
def test_losses_and_gradients_are_those_of_documents_end_to_end(
    model: PreTrainedModel, block: int, texts: list[list[int]]
) -> None:
    documents = [encoded(ids) for ids in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_attention, "BLOCK", block)
        patch.setattr(cpu_attention, "LEAST_BLOCK", 1)
        with connect(model) as network:
            assert network.shares
            plain = pack(documents, CPU)
            if not len(plain.targets):
                return
            expected = outcome(network, plain, model)
            found = outcome(network, network.pack(documents), model)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_a_place_is_summed_in_float32() -> None:
    packed = pack([encoded([1, 2])] * 300, CPU, share=True)
    states = torch.ones(1, 2, 1, dtype=torch.bfloat16, requires_grad=True)
    spread = packed.spread(states, 1)
    (gradient,) = torch.autograd.grad(spread, states, torch.ones_like(spread))
    assert gradient.flatten().tolist() == [300, 300]  # one by one in bfloat16 it would stay at 256
