"""Packed logits are unpacked logits, for families that attend differently; what mixes documents is refused."""

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tutelage.errors import ModelError
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import pack

SIZES = {"vocab_size": 128, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
CPU = torch.device("cpu")

FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, **HEADS), "documents", True),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SIZES, **HEADS), "documents", True),
    "sliding window": (MistralForCausalLM, MistralConfig(**SIZES, **HEADS, sliding_window=8), "documents", True),
    "learned positions": (
        GPT2LMHeadModel,
        GPT2Config(vocab_size=128, n_embd=32, n_layer=2, n_head=4),
        "documents",
        True,
    ),
    "scaled logits": (GraniteForCausalLM, GraniteConfig(**SIZES, **HEADS, logits_scaling=3.0), "documents", False),
    "capped scores": (
        Gemma2ForCausalLM,
        Gemma2Config(
            **SIZES, **HEADS, head_dim=8, sliding_window=8, attn_logit_softcapping=2.0, final_logit_softcapping=2.0
        ),
        "mask",
        False,
    ),
}


def documents(lengths: list[int]) -> list[Encoded]:
    generator = np.random.default_rng(0)
    return [
        Encoded(ids=generator.integers(0, 128, length).astype(np.int32), targets=np.ones(length, dtype=bool))
        for length in lengths
    ]


def build(kind: type[PreTrainedModel], config: object) -> PreTrainedModel:
    with quiet():
        torch.manual_seed(0)
        model = kind(config)
    # Random weights of the usual size make nearly uniform attention: a leak would hide in it.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.ndim > 1 else 1.0)
    model.train(False)
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_packed_logits_are_unpacked_logits(name: str) -> None:
    kind, config, backend, plain_head = FAMILIES[name]
    model = build(kind, config)
    rows = documents([5, 31, 2, 17, 9])
    before = model.config._attn_implementation
    with torch.no_grad(), quiet():
        alone = torch.cat([model(input_ids=pack([row], CPU).ids).logits[0, :-1] for row in rows])
        with connect(model) as network:
            packed = pack(rows, CPU)
            found = network.logits(packed)
            losses = network.predict(packed).token_losses()
    assert network.backend == backend
    assert (network.head is not None) == plain_head
    assert (found - alone).abs().max() <= 1e-4
    expected = torch.nn.functional.cross_entropy(alone.float(), packed.targets, reduction="none")
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
    assert model.config._attn_implementation == before
    assert not model.training


def test_documents_need_the_boundaries() -> None:
    """The comparison above has teeth: without restarting positions the same row gives other logits."""
    model = build(LlamaForCausalLM, LlamaConfig(**SIZES, **HEADS))
    rows = documents([5, 31])
    with torch.no_grad():
        alone = torch.cat([model(input_ids=pack([row], CPU).ids).logits[0] for row in rows])
        mixed = model(input_ids=pack(rows, CPU).ids).logits[0]
    assert (mixed - alone).abs().max() > 0.1


def test_a_recurrent_model_is_refused() -> None:
    config = MambaConfig(vocab_size=128, hidden_size=32, num_hidden_layers=2, state_size=4)
    with quiet(), pytest.raises(ModelError, match="influence one another"), connect(build(MambaForCausalLM, config)):
        pytest.fail("a recurrent model was let through")
