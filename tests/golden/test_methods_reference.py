"""Every method against PEFT's own: the forward pass, twelve steps of training, and what is saved."""

import json
from pathlib import Path

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from support.plain_peer import BATCH, BETAS, CLIP, WEIGHT_DECAY, bundle, documents, plain_training
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.recipe.methods import DoraMethod, Ia3Method, LastMethod, LoraMethod, Method
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune import Summary, train
from tutelage.tune.methods import build_method
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import pack

STEPS, SEED, RATE = 12, 7, 5e-3
PLAIN = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
NAMED = {"target_modules": ["q_proj", "up_proj"], "feedforward_modules": ["up_proj"], "task_type": "CAUSAL_LM"}
ADAPTERS: dict[str, tuple[Method, LoraConfig | IA3Config]] = {
    "rslora": (LoraMethod(kind="lora", r=4, alpha=8, rslora=True), LoraConfig(**PLAIN, use_rslora=True)),
    "pissa": (LoraMethod(kind="lora", r=4, alpha=8, init="pissa"), LoraConfig(**PLAIN, init_lora_weights="pissa")),
    "olora": (LoraMethod(kind="lora", r=4, alpha=8, init="olora"), LoraConfig(**PLAIN, init_lora_weights="olora")),
    "pissa, rslora": (
        LoraMethod(kind="lora", r=4, alpha=8, init="pissa", rslora=True),
        LoraConfig(**PLAIN, init_lora_weights="pissa", use_rslora=True),
    ),
    "dora": (DoraMethod(kind="dora", r=4, alpha=8), LoraConfig(**PLAIN, use_dora=True)),
    "ia3": (Ia3Method(kind="ia3"), IA3Config(task_type="CAUSAL_LM")),
    "ia3, named": (
        Ia3Method(kind="ia3", targets=("q_proj", "up_proj"), feedforward=("up_proj",)),
        IA3Config(**NAMED),
    ),
}
BEGIN_AT_A_PART = [name for name in ADAPTERS if "pissa" in name or "olora" in name]


def peer_of(config: LoraConfig | IA3Config) -> PeftModel:
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(SEED, "method"))
        return get_peft_model(bundle().model, config)


def section_of(method: Method) -> TuneSection:
    return TuneSection(
        method=method,
        optimizer=AdamWOptimizer(kind="adamw", lr=RATE, weight_decay=WEIGHT_DECAY, betas=BETAS),
        schedule=ConstantSchedule(kind="constant"),
        batch_size=BATCH,
        epochs=99,
        max_steps=STEPS,
        micro_batch_tokens=48,
        clip_norm=CLIP,
    )


def logits(model: nn.Module, rows: list[Encoded]) -> list[Tensor]:
    model.train(False)
    with torch.no_grad():
        return [model(input_ids=torch.as_tensor(row.ids, dtype=torch.int64)[None]).logits[0] for row in rows]


def stir(parameters: dict[str, nn.Parameter]) -> None:
    """Move weights by noise that their names decide."""
    with torch.no_grad():
        for number, name in enumerate(sorted(parameters)):
            generator = torch.Generator().manual_seed(number)
            parameters[name].add_(0.02 * torch.randn(parameters[name].shape, generator=generator))


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_packed_forward_pass_is_that_of_peft_one_by_one(name: str) -> None:
    method, config = ADAPTERS[name]
    ours, peer = bundle(), peer_of(config)
    tuned = build_method(method)(ours, derive_seed(SEED, "method"))
    theirs = {name: p for name, p in peer.get_base_model().named_parameters() if p.requires_grad}
    assert tuned.parameters.keys() == theirs.keys()
    for label, parameter in tuned.parameters.items():
        torch.testing.assert_close(parameter, theirs[label], rtol=0, atol=0, msg=label)
    stir(tuned.parameters)
    stir(theirs)
    rows = documents(6, len(ours.tokenizer))
    expected = logits(peer, rows)
    with torch.no_grad(), connect(tuned.model) as network:
        packed = pack(rows, network.device)
        states = network.hidden(packed)
        assert network.head is not None
        found = network.head(states).split([len(row) for row in rows])
    start = logits(bundle().model, rows)
    assert max((a - b).abs().max().item() for a, b in zip(expected, start, strict=True)) > 1e-3
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ADAPTERS)
def test_training_takes_the_plain_path_and_is_read_by_plain_peft(tmp_path: Path, name: str) -> None:
    method, config = ADAPTERS[name]
    ours, peer = bundle(), peer_of(config)
    untouched = {label: weight.clone() for label, weight in ours.model.named_parameters()}
    rows = documents(16, len(ours.tokenizer))
    *_, summary = train(ours, rows, section_of(method), folder=tmp_path, seed=SEED)
    assert isinstance(summary, Summary)
    theirs = plain_training(
        peer, rows, seed=SEED, rates=[RATE] * STEPS, decays=lambda weight: method.kind != "ia3" and weight.ndim > 1
    )
    assert summary.losses == pytest.approx(theirs, rel=1e-4)
    assert abs(summary.losses[-1] - summary.losses[0]) > 1e-3
    assert summary.reload_difference == 0.0
    assert summary.trainable_parameters == sum(p.numel() for p in peer.parameters() if p.requires_grad)
    for label, weight in ours.model.named_parameters():
        assert torch.equal(weight, untouched[label]), f"{label}: the base has moved"
        assert weight.requires_grad
    with quiet():
        again = PeftModel.from_pretrained(bundle().model, str(tmp_path / "weights"))
    for a, b in zip(logits(again, rows), logits(peer, rows), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_the_last_layers_take_the_plain_path_and_are_read_by_transformers(tmp_path: Path) -> None:
    ours, peer = bundle(), bundle().model
    rows = documents(16, len(ours.tokenizer))
    *_, summary = train(ours, rows, section_of(LastMethod(kind="last", layers=1)), folder=tmp_path, seed=SEED)
    assert isinstance(summary, Summary)
    peer.requires_grad_(False)
    peer.model.layers[1].requires_grad_(True)
    peer.model.norm.requires_grad_(True)
    assert summary.losses == pytest.approx(plain_training(peer, rows, seed=SEED, rates=[RATE] * STEPS), rel=1e-4)
    assert summary.losses[-1] < summary.losses[0] - 0.01
    start = dict(bundle().model.named_parameters())
    moved = {name for name, weight in ours.model.named_parameters() if not torch.equal(weight, start[name])}
    assert moved == {name for name, weight in peer.named_parameters() if weight.requires_grad}
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "weights")
    for a, b in zip(logits(again, rows), logits(ours.model, rows), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", BEGIN_AT_A_PART)
def test_what_is_saved_is_what_peft_converts_its_own_to(tmp_path: Path, name: str) -> None:
    method, config = ADAPTERS[name]
    ours, peer = bundle(), peer_of(config)
    tuned = build_method(method)(ours, derive_seed(SEED, "method"))
    initial = peer.peft_config["default"].init_lora_weights
    peer.peft_config["default"].init_lora_weights = True
    peer.save_pretrained(str(tmp_path / "start"), save_embedding_layers=False)
    peer.peft_config["default"].init_lora_weights = initial
    stir(tuned.parameters)
    stir({name: p for name, p in peer.get_base_model().named_parameters() if p.requires_grad})
    assert all("forward" in vars(module) for module in tuned.model.modules() if isinstance(module, Linear))
    tuned.settle()
    tuned.save(tmp_path / "ours")
    with quiet():
        peer.save_pretrained(
            str(tmp_path / "theirs"),
            save_embedding_layers=False,
            path_initial_model_for_weight_conversion=str(tmp_path / "start"),
        )
    found, expected = (load_file(tmp_path / side / "adapter_model.safetensors") for side in ("ours", "theirs"))
    assert found.keys() == expected.keys()
    for label, tensor in found.items():
        torch.testing.assert_close(tensor, expected[label], rtol=0, atol=0, msg=label)
    ours_config, their_config = (
        json.loads((tmp_path / side / "adapter_config.json").read_text()) for side in ("ours", "theirs")
    )
    for key in ("r", "lora_alpha", "use_rslora", "use_dora", "init_lora_weights", "peft_type"):
        assert ours_config[key] == their_config[key], key
