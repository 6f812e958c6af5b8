"""What holds of methods whatever the numbers: bases come back, parts are parts, frozen layers see no gradient."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft.tuners.ia3 import IA3Layer
from peft.tuners.lora import Linear
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM, PreTrainedModel, SmolLM3Config
from transformers import SmolLM3ForCausalLM as Unlisted

from tutelage.errors import TrainingError
from tutelage.models.adapters import add_adapter
from tutelage.models.hardware import cast_weights
from tutelage.models.load import Bundle, load_tuned
from tutelage.models.quiet import quiet
from tutelage.models.tiny import tiny_model
from tutelage.recipe.methods import DoraMethod, FullMethod, Ia3Method, LastMethod, LoraMethod, Method
from tutelage.recipe.tune import AdafactorOptimizer, AdamWOptimizer, TorchOptimizer
from tutelage.tune.methods import build_method
from tutelage.tune.methods.last import tune_last
from tutelage.tune.methods.principal import principal_part
from tutelage.tune.training.optimizers import Optimizer

IDS = torch.arange(3, 43)[None]
PISSA, OLORA = (LoraMethod(kind="lora", r=4, init=init) for init in ("pissa", "olora"))
DORA, IA3 = DoraMethod(kind="dora", r=4), Ia3Method(kind="ia3")
ADAPTERS: dict[str, Method] = {
    "lora": LoraMethod(kind="lora", r=4),
    "pissa": PISSA,
    "pissa, float32": PISSA.model_copy(update={"dtype": "float32"}),
    "olora": OLORA,
    "dora": DORA,
    "ia3": IA3,
}


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits[0].float()


def in_bfloat16() -> Bundle:
    bundle = tiny_model()
    cast_weights(bundle.model, torch.bfloat16)
    return bundle


def stir(parameters: dict[str, nn.Parameter]) -> None:
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_base_is_as_it_came_after_release(name: str, dtype: torch.dtype) -> None:
    bundle = tiny_model()
    cast_weights(bundle.model, dtype)
    weights = {key: tensor.clone() for key, tensor in bundle.model.state_dict().items()}
    modules = {key: type(module) for key, module in bundle.model.named_modules()}
    tuned = build_method(ADAPTERS[name])(bundle, 0)
    assert all(parameter.requires_grad for parameter in tuned.parameters.values())
    assert not any(p.requires_grad for p in bundle.model.parameters() if p not in set(tuned.parameters.values()))
    stir(tuned.parameters)
    tuned.release()
    tuned.release()
    assert {key: type(module) for key, module in bundle.model.named_modules()} == modules
    assert bundle.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(tensor, weights[key]) for key, tensor in bundle.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in bundle.model.parameters())


@pytest.mark.parametrize("name", ADAPTERS)
def test_step_zero_is_the_model_as_it_came(name: str) -> None:
    start = logits(tiny_model().model)
    tuned = build_method(ADAPTERS[name])(tiny_model(), 0)
    torch.testing.assert_close(logits(tuned.model), start, rtol=0, atol=2e-6)
    tuned.settle()
    torch.testing.assert_close(logits(tuned.model), start, rtol=0, atol=2e-6)

    start = logits(in_bfloat16().model)
    tuned = build_method(ADAPTERS[name])(in_bfloat16(), 0)
    error = (logits(tuned.model) - start).square().mean().sqrt() / start.std()
    # what bfloat16 itself costs this model: its logits against those of float32
    noise = (start - logits(tiny_model().model)).square().mean().sqrt() / start.std()
    assert error <= noise


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_saved_in_bfloat16_is_what_computed(tmp_path: Path, name: str) -> None:
    tuned = build_method(ADAPTERS[name])(in_bfloat16(), 0)
    stir(tuned.parameters)
    tuned.settle()
    expected = logits(tuned.model)
    tuned.save(tmp_path)
    with tuned.reloaded(tmp_path) as again:
        assert torch.equal(logits(again), expected)
    beside = load_tuned("tiny", tmp_path, dtype="bfloat16", device="cpu").model
    if name != "pissa, float32":  # beside its weights LoRA computes in their arithmetic
        assert torch.equal(logits(beside), expected)
    merged = logits(add_adapter(tiny_model().model, tmp_path, merge=True))
    apart = (expected - merged).square().mean().sqrt() / merged.std()
    assert apart < 0.03


@pytest.mark.parametrize("method", [PISSA, OLORA, PISSA.model_copy(update={"rslora": True})])
def test_beginning_at_a_part_each_layer_is_its_own_formula(method: LoraMethod) -> None:
    """W + s·(BA − B₀A₀), in float64, against what the layer computes; s is that of rank r."""
    tuned = build_method(method)(tiny_model(), 0)
    first = {key: parameter.detach().clone() for key, parameter in tuned.parameters.items()}
    stir(tuned.parameters)
    scale = method.alpha / (method.r**0.5 if method.rslora else method.r)
    layers = [(key, module) for key, module in tuned.model.named_modules() if isinstance(module, Linear)]
    assert len(layers) == 14
    for key, module in layers:
        x = torch.randn(5, module.in_features, generator=torch.Generator().manual_seed(1))
        a, b = (tuned.parameters[f"{key}.lora_{part}.default.weight"].detach().double() for part in "AB")
        a0, b0 = (first[f"{key}.lora_{part}.default.weight"].double() for part in "AB")
        weight = module.get_base_layer().weight.double() + scale * (b @ a - b0 @ a0)
        torch.testing.assert_close(module(x).double(), x.double() @ weight.T, rtol=1e-4, atol=1e-5)
        assert "forward" in vars(module), "the short way"


@given(st.integers(1, 6), st.integers(6, 12), st.integers(6, 12), st.integers(0, 999), st.floats(0.25, 8))
@settings(max_examples=30, deadline=None)
def test_the_parts_are_what_the_papers_say(r: int, out: int, width: int, seed: int, scale: float) -> None:
    weight = torch.randn(out, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    a, b = principal_part(weight, r, scale=scale, init="pissa")
    values = torch.linalg.svdvals(weight)
    # nothing of rank r is nearer (Eckart & Young 1936), and A and B have equal shares of it
    assert torch.isclose((weight - scale * b @ a).square().sum(), values[r:].square().sum(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(a @ a.T, b.T @ b)
    a, b = principal_part(weight, r, scale=scale, init="olora")
    torch.testing.assert_close(b.T @ b, torch.eye(r, dtype=torch.float64))
    torch.testing.assert_close(b @ a[:, :r], weight[:, :r])  # R is upper triangular


def test_a_rank_that_no_layer_has_is_refused_and_nothing_stays() -> None:
    bundle = tiny_model()
    with pytest.raises(TrainingError, match=r"no part of such a rank.*65; \w+ has 64.*Lower it to 64"):
        build_method(LoraMethod(kind="lora", r=65, init="pissa"))(bundle, 0)
    assert not [module for module in bundle.model.modules() if isinstance(module, Linear)]


def test_lengths_begin_at_the_norms_of_the_weights_even_in_bfloat16() -> None:
    """Then m/‖W‖ is 1 and the model is what it was; PEFT's own would be off by the rounding of m."""
    tuned = build_method(DORA)(in_bfloat16(), 0)
    found = 0
    for module in tuned.model.modules():
        if isinstance(module, Linear):
            norms = module.get_base_layer().weight.double().square().sum(1).sqrt()
            torch.testing.assert_close(
                module.lora_magnitude_vector["default"].weight.double(), norms, rtol=1e-6, atol=0
            )
            found += 1
    assert found == 14


def test_below_the_last_layers_there_is_no_gradient() -> None:
    bundle = tiny_model(layers=3)
    tuned = tune_last(bundle, LastMethod(kind="last", layers=2))
    seen: dict[int, bool] = {}
    for number, layer in enumerate(bundle.model.model.layers):
        layer.register_forward_hook(
            lambda _module, arguments, _output, number=number: seen.update({number: arguments[0].requires_grad})
        )
    bundle.model(input_ids=IDS).logits.sum().backward()
    assert seen == {0: False, 1: False, 2: True}, "what enters the first trained layer needs no gradient"
    moved = {name for name, parameter in bundle.model.named_parameters() if parameter.grad is not None}
    assert moved == set(tuned.parameters)
    assert {name.split(".")[2] for name in moved if ".layers." in name} == {"1", "2"}
    assert "model.norm.weight" in moved
    assert "model.embed_tokens.weight" not in moved
    tuned.release()
    assert all(parameter.requires_grad for parameter in bundle.model.parameters())


def test_what_last_can_not_train_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"not so many layers.*3; it has 2"):
        tune_last(tiny_model(), LastMethod(kind="last", layers=3))
    with pytest.raises(TrainingError, match=r"the output layer is the embedding too"):
        tune_last(tiny_model(), LastMethod(kind="last", layers=1, head=True))


def with_model(kind: type[PreTrainedModel], config: Any) -> Bundle:
    bundle = tiny_model()
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bundle.model = kind(config).train(False)
    return bundle


def gpt2() -> Bundle:
    return with_model(GPT2LMHeadModel, GPT2Config(vocab_size=512, n_embd=32, n_layer=3, n_head=4))


def test_other_families_have_last_layers_too() -> None:
    tuned = tune_last(gpt2(), LastMethod(kind="last", layers=1))
    assert {".".join(name.split(".")[:3]) for name in tuned.parameters} == {
        "transformer.h.2",
        "transformer.ln_f.weight",
        "transformer.ln_f.bias",
    }
    config = OPTConfig(
        vocab_size=512,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=32,
        tie_word_embeddings=False,
    )
    tuned = tune_last(with_model(OPTForCausalLM, config), LastMethod(kind="last", layers=1, head=True))
    parts = {name.removeprefix("model.decoder.").rsplit(".", 1)[0] for name in tuned.parameters}
    assert {"final_layer_norm", "lm_head"} <= parts
    assert not [name for name in parts if name.startswith(("layers.0", "embed"))]


@pytest.mark.parametrize("name", ["pissa", "olora", "dora", "ia3"])
def test_layers_that_keep_their_weights_the_other_way_round(name: str, tmp_path: Path) -> None:
    start = logits(gpt2().model)
    tuned = build_method(ADAPTERS[name])(gpt2(), 0)
    torch.testing.assert_close(logits(tuned.model), start, rtol=0, atol=1e-5)
    stir(tuned.parameters)
    tuned.settle()
    expected = logits(tuned.model)
    assert (expected - start).abs().max() > 1e-3
    tuned.save(tmp_path)
    with quiet():
        merged = add_adapter(gpt2().model, tmp_path, merge=True)
    torch.testing.assert_close(logits(merged), expected, rtol=0, atol=1e-5)


def test_factors_of_an_unlisted_architecture_must_be_named() -> None:
    sizes = {"vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
    bundle = with_model(Unlisted, SmolLM3Config(**sizes, **heads))
    with pytest.raises(TrainingError, match=r"PEFT does not know.*smollm3.*Name the layers of keys and values"):
        build_method(IA3)(bundle, 0)
    named = Ia3Method(kind="ia3", targets=("k_proj", "v_proj", "down_proj"), feedforward=("down_proj",))
    tuned = build_method(named)(bundle, 0)
    assert sum(parameter.numel() for parameter in tuned.parameters.values()) == 16 + 16 + 64
    fed = {
        key.rsplit(".", 1)[-1] for key, m in tuned.model.named_modules() if isinstance(m, IA3Layer) if m.is_feedforward
    }
    assert fed == {"down_proj"}
    with pytest.raises(TrainingError, match=r"no linear layer.*wo"):
        build_method(Ia3Method(kind="ia3", targets=("wo",)))(tiny_model(), 0)


@pytest.mark.parametrize(
    "section",
    [
        AdamWOptimizer(kind="adamw", weight_decay=0.5),
        AdafactorOptimizer(kind="adafactor", weight_decay=0.5),
        TorchOptimizer(kind="torch", name="SGD", options={"weight_decay": 0.5}),
    ],
)
def test_factors_never_decay_and_matrices_of_rank_one_do(section: Any) -> None:
    """Without a gradient only decay moves a weight."""
    for method, moves in ((IA3, False), (LoraMethod(kind="lora", r=1), True), (DORA, True)):
        tuned = build_method(method)(tiny_model(), 0)
        before = {name: parameter.detach().clone() for name, parameter in tuned.parameters.items()}
        optimizer = Optimizer(tuned.parameters, section)
        for master in optimizer.masters.values():
            master.grad = torch.zeros_like(master)
        optimizer.step(0.1)
        moved = {name for name, parameter in tuned.parameters.items() if not torch.equal(parameter, before[name])}
        assert moved == ({name for name in before if ".lora_A." in name} if moves else set())


def test_what_is_trained_is_counted() -> None:
    def count(method: Method) -> int:
        return sum(parameter.numel() for parameter in build_method(method)(tiny_model(), 0).parameters.values())

    d, f, layers = 64, 128, 2  # width, inner width, layers of the tiny model; four matrices d × d and three d × f
    lora = layers * 4 * (4 * (d + d) + 3 * (d + f))
    assert count(LoraMethod(kind="lora", r=4)) == count(PISSA) == count(OLORA) == lora
    assert count(DORA) == lora + layers * (4 * d + 2 * f + d)
    assert count(IA3) == layers * (d + d + f)
    block = 4 * d * d + 3 * d * f + 2 * d
    assert count(LastMethod(kind="last", layers=1)) == block + d
    assert count(LastMethod(kind="last", layers=1, norm=False)) == block
    assert count(FullMethod(kind="full")) == sum(p.numel() for p in tiny_model().model.parameters())
