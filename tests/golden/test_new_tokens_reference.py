"""New tokens against plain transformers and PEFT: the larger model, twenty steps, and what is saved."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from support.new_tokens import NEW, base_folder, chats, grown, plain_grown
from support.plain_peer import BATCH, BETAS, CLIP, WEIGHT_DECAY, plain_training
from tutelage.models.load import load_bundle
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.recipe.methods import DoraMethod, FullMethod, LoraMethod, Method
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune import Summary, train

STEPS, SEED, RATE = 20, 7, 5e-3
LORA = LoraMethod(kind="lora", r=4, alpha=8)
PLAIN = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
ADAPTERS: dict[str, tuple[Method, dict[str, object]]] = {
    "lora": (LORA, {}),
    "dora": (DoraMethod(kind="dora", r=4, alpha=8), {"use_dora": True}),
    "pissa": (LoraMethod(kind="lora", r=4, alpha=8, init="pissa"), {"init_lora_weights": "pissa"}),
}


def section_of(method: Method) -> TuneSection:
    return TuneSection(
        method=method,
        optimizer=AdamWOptimizer(kind="adamw", lr=RATE, weight_decay=WEIGHT_DECAY, betas=BETAS),
        schedule=ConstantSchedule(kind="constant"),
        batch_size=BATCH,
        epochs=99,
        max_steps=STEPS,
        micro_batch_tokens=96,
        clip_norm=CLIP,
    )


def logits(model: nn.Module, rows: list[Encoded]) -> Tensor:
    model.train(False)
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.as_tensor(row.ids, dtype=torch.int64)[None]).logits[0] for row in rows])


def peer_of(folder: Path, *, tied: bool, more: dict[str, object]) -> PeftModel:
    model, ids = plain_grown(folder)
    named = ids if tied else {"embed_tokens": ids, "lm_head": ids}
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(SEED, "method"))
        return get_peft_model(model, LoraConfig(**PLAIN, **more, trainable_token_indices=named))


def plain_base(folder: Path, weights: Path) -> PreTrainedModel:
    """The base as anyone makes it who has read the adapter's card."""
    tokenizer = AutoTokenizer.from_pretrained(weights)
    with quiet(), torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        model.resize_token_embeddings(max(len(tokenizer), model.config.vocab_size), mean_resizing=False)
    return model


@pytest.mark.parametrize("padding", [0, 1, 9])
@pytest.mark.parametrize("tied", [True, False])
def test_the_larger_model_is_the_plain_one(tmp_path: Path, tied: bool, padding: int) -> None:
    folder = base_folder(tmp_path / "base", tied=tied, padding=padding)
    ours, (peer, ids) = grown(folder), plain_grown(folder)
    assert list(ours.new_tokens) == ids
    assert ours.model.config.vocab_size == peer.config.vocab_size
    for (name, a), b in zip(ours.model.named_parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7, msg=name)
    rows = chats(ours)
    torch.testing.assert_close(logits(ours.model, rows), logits(peer, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ADAPTERS)
def test_twenty_steps_are_those_of_peft_and_plain_peft_reads_them(tmp_path: Path, name: str, tied: bool) -> None:
    method, more = ADAPTERS[name]
    folder = base_folder(tmp_path / "base", tied=tied)
    ours, peer = grown(folder), peer_of(folder, tied=tied, more=more)
    untouched = {label: weight.clone() for label, weight in ours.model.named_parameters()}
    rows = chats(ours)
    *_, summary = train(ours, rows, section_of(method), folder=tmp_path / "out", seed=SEED)
    assert isinstance(summary, Summary)
    assert summary.head == "chunked"
    assert summary.reload_difference == 0.0
    assert summary.trainable_parameters == sum(p.numel() for p in peer.parameters() if p.requires_grad)
    theirs = plain_training(peer, rows, seed=SEED, rates=[RATE] * STEPS)
    assert summary.losses == pytest.approx(theirs, rel=1e-4)
    assert summary.losses[-1] < summary.losses[0] - 0.5
    for label, weight in ours.model.named_parameters():
        assert torch.equal(weight, untouched[label]), f"{label}: the base has moved"

    weights = tmp_path / "out" / "weights"
    saved = load_file(weights / "adapter_model.safetensors")
    trained = {label: rows for label, rows in saved.items() if "trainable_tokens_delta" in label}
    assert [tuple(one.shape) for one in trained.values()] == [(2, 64)] * (1 if tied else 2)
    ids = list(ours.new_tokens)
    for label, one in trained.items():
        began = untouched["lm_head.weight" if "lm_head" in label else "model.embed_tokens.weight"][ids]
        assert ((one - began).norm(dim=1) > 0.05 * began.norm(dim=1)).all(), f"{label}: a row has not learned"
    config = json.loads((weights / "adapter_config.json").read_text())
    assert config["trainable_token_indices"] == (ids if tied else {"model.embed_tokens": ids, "lm_head": ids})
    with quiet():
        again = PeftModel.from_pretrained(plain_base(folder, weights), str(weights))
    expected = logits(again, rows)
    torch.testing.assert_close(logits(peer, rows), expected, rtol=1e-3, atol=1e-3)

    own = load_bundle(str(folder), adapter=weights, dtype="float32")
    merged = load_bundle(str(folder), adapter=weights, dtype="float32", merge=True)
    torch.testing.assert_close(logits(own.model, rows), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits(merged.model, rows), expected, rtol=0, atol=1e-4)
    assert merged.template.end_token == NEW[1]
    assert merged.template.end_ids[0] == ids[1]
    inside, outside = merged.model.get_input_embeddings().weight, merged.model.get_output_embeddings().weight
    assert (inside is outside) == tied


@pytest.mark.parametrize("tied", [True, False])
def test_full_tuning_trains_them_too_and_transformers_reads_them(tmp_path: Path, tied: bool) -> None:
    folder = base_folder(tmp_path / "base", tied=tied)
    ours, (peer, ids) = grown(folder), plain_grown(folder)
    rows = chats(ours)
    before = ours.model.get_input_embeddings().weight[ids].clone()
    *_, summary = train(ours, rows, section_of(FullMethod(kind="full")), folder=tmp_path / "out", seed=SEED)
    assert isinstance(summary, Summary)
    peer.requires_grad_(True)
    assert summary.losses == pytest.approx(plain_training(peer, rows, seed=SEED, rates=[RATE] * STEPS), rel=2e-4)
    assert not torch.equal(ours.model.get_input_embeddings().weight[ids], before)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "weights")
    torch.testing.assert_close(logits(again, rows), logits(ours.model, rows), rtol=0, atol=0)
    assert AutoTokenizer.from_pretrained(tmp_path / "out" / "weights").convert_tokens_to_ids(list(NEW)) == ids
