"""Blocks computed the short way equal the model's own: values, gradients, and what is kept for the way back."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import linear, silu
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaConfig, LlamaMLP, LlamaRMSNorm

from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import LoraMethod
from tutelage.tune.methods.lora import add_lora
from tutelage.tune.training.adapted import Parts
from tutelage.tune.training.gated import gated_block
from tutelage.tune.training.lean import lean
from tutelage.tune.training.normed import rms_norm


def drawn(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def test_gradients_of_the_gated_block_are_those_of_differences() -> None:
    x, *low = drawn((4, 5), (2, 5), (6, 2), (2, 5), (6, 2), (2, 6), (5, 2))
    wide = [weight.detach() for weight in drawn((6, 5), (6, 5), (5, 6), seed=1)]
    bias = torch.randn(6, dtype=torch.float64)

    def block(x: Tensor, *low: Tensor) -> Tensor:
        a_g, b_g, a_u, b_u, a_d, b_d = low
        gate, up = Parts(wide[0], None, a_g, b_g, 0.7), Parts(wide[1], bias, a_u, b_u, 0.3)
        return gated_block(x, gate, up, Parts(wide[2], None, a_d, b_d, 1.1))

    assert torch.autograd.gradcheck(block, (x, *low))
    assert torch.autograd.gradcheck(lambda *low: block(x.detach(), *low), tuple(low))


def test_gradients_of_trained_weights_of_the_gated_block_are_those_of_differences() -> None:
    given = drawn((4, 5), (6, 5), (6,), (6, 5), (5, 6))

    def block(x: Tensor, gate: Tensor, bias: Tensor, up: Tensor, down: Tensor) -> Tensor:
        return gated_block(x, Parts(gate, bias), Parts(up), Parts(down))

    x, gate, bias, up, down = given
    torch.testing.assert_close(block(*given), linear(silu(linear(x, gate, bias)) * linear(x, up), down))
    assert torch.autograd.gradcheck(block, tuple(given))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 100), st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_norm_is_transformers_own(shape: list[int], seed: int, trains: bool) -> None:
    x, weight, upstream = (one.detach().float() for one in drawn((*shape, 6), (6,), (*shape, 6), seed=seed))
    norm = LlamaRMSNorm(6, eps=1e-5)
    norm.weight.data.copy_(weight)
    norm.weight.requires_grad_(trains)
    x.requires_grad_()
    wanted = [x, norm.weight] if trains else [x]
    plain, found = norm(x), rms_norm(x, norm.weight, 1e-5)
    torch.testing.assert_close(found, plain, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(*(torch.autograd.grad(output, wanted, upstream) for output in (found, plain)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


class Block(nn.Module):
    """A norm and a gated block, as transformers has them."""

    def __init__(self, act: str = "silu", norm: type = LlamaRMSNorm) -> None:
        super().__init__()
        config = LlamaConfig(hidden_size=8, intermediate_size=24, hidden_act=act, num_attention_heads=2)
        self.norm, self.mlp = norm(8), LlamaMLP(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.norm(x))


@pytest.mark.parametrize(("settings", "count"), [({}, 2), ({"act": "gelu"}, 1), ({"norm": GemmaRMSNorm}, 1)])
def test_what_computes_otherwise_is_left_alone(settings: dict[str, Any], count: int) -> None:
    torch.manual_seed(0)
    block = Block(**settings)
    if isinstance(block.norm, GemmaRMSNorm):
        nn.init.normal_(block.norm.weight)
    x = torch.randn(3, 8)
    plain = block(x)
    with lean(block) as found:
        assert found == count
        torch.testing.assert_close(block(x), plain, rtol=1e-6, atol=1e-6)
    assert not any("forward" in vars(module) for module in block.modules())


class Clamped(LlamaMLP):
    """As some models have it: large numbers are cut."""

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)).clamp(max=10) * self.up_proj(x))


class Dropping(LlamaMLP):
    """As some models have it: only while it trains."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), 0.1, training=self.training)


class Packed(nn.Linear):
    """As weights of 4 bits are kept."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__(1, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(inner.weight.numel() // 2, 1, dtype=torch.uint8), requires_grad=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [Clamped, Dropping])
def test_what_differs_on_large_numbers_or_while_training_is_left_alone(kind: type, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    block = Block()
    block.mlp = kind(block.mlp.config)
    block.to(dtype).train(False)
    before = [weight.clone() for weight in block.parameters()]
    with lean(block) as found:
        assert found == 1, "the norm"
    assert not block.mlp.training
    assert all(torch.equal(a, b) and a.dtype == dtype for a, b in zip(block.parameters(), before, strict=True))


def test_a_gelu_is_no_silu_in_bfloat16_either() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        with lean(Block("gelu_pytorch_tanh").to(torch.bfloat16)) as found:
            assert found == 1, "the norm"


def test_weights_that_are_packed_are_left_alone() -> None:
    block = Block()
    for name in ("gate_proj", "up_proj", "down_proj"):
        setattr(block.mlp, name, Packed(getattr(block.mlp, name)))
    with lean(block) as found:
        assert found == 1, "the norm"


def test_a_watched_layer_is_left_to_its_watcher() -> None:
    block = Block()
    seen: list[int] = []
    block.mlp.up_proj.register_forward_hook(lambda *_: seen.append(1))
    with lean(block):
        block(torch.randn(1, 8))
        seen.clear()
        block(torch.randn(1, 8))
    assert seen == [1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("adapted", [True, False])
def test_a_whole_model_learns_the_same_and_keeps_less(dtype: torch.dtype, adapted: bool) -> None:
    bundle = tiny_model()
    model = bundle.model.to(dtype)
    if adapted:
        tuned = add_lora(bundle, LoraMethod(kind="lora", r=4), seed=0)
        parameters = list(tuned.parameters.values())
        with torch.no_grad():
            for parameter in parameters:
                parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(1))
    else:
        model.requires_grad_(True)
        parameters = list(model.parameters())
    ids = (torch.arange(48) * 7919 % len(bundle.tokenizer))[None]

    def outcome() -> tuple[list[Tensor], int]:
        kept: dict[int, Tensor] = {}

        def keep(saved: Tensor) -> Tensor:
            kept[saved.untyped_storage().data_ptr()] = saved  # while it is held no other gets its address
            return saved

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            states = model.base_model(input_ids=ids).last_hidden_state
        upstream = torch.randn(states.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
        weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        size = sum(saved.untyped_storage().nbytes() for place, saved in kept.items() if place not in weights)
        inner = [parameter for parameter in parameters if parameter is not model.lm_head.weight]
        gradients = torch.autograd.grad(states, inner, upstream, allow_unused=True)
        return [states, *(one for one in gradients if one is not None)], size

    expected, plain = outcome()
    with lean(model) as found:
        assert found == 3 * model.config.num_hidden_layers + 1
        ours, less = outcome()
    assert less < 0.85 * plain
    # bfloat16 rounds each way once a step, in another order
    tolerance = 1e-4 if dtype == torch.float32 else 0.03
    for one, other in zip(ours, expected, strict=True):
        assert (one - other).float().norm() <= tolerance * other.float().norm()
