"""The loop against the plain thing: Hugging Face forward, torch cross-entropy, one document at a time, torch AdamW."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM

from support.plain_peer import BATCH, BETAS, CLIP, WEIGHT_DECAY, bundle, documents, plain_training
from tutelage.models.adapters import add_adapter
from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.recipe.tune import AdamWOptimizer, CosineSchedule, FullMethod, LoraMethod, TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune import Summary, train

LORA = TuneSection(
    method=LoraMethod(kind="lora", r=4, alpha=8),
    optimizer=AdamWOptimizer(kind="adamw", lr=2e-2, weight_decay=WEIGHT_DECAY, betas=BETAS),
    schedule=CosineSchedule(kind="cosine", warmup_share=0.25),
    batch_size=BATCH,
    epochs=2,
    micro_batch_tokens=48,
    clip_norm=CLIP,
)
FULL = LORA.model_copy(update={"method": FullMethod(kind="full")})
# 8 steps, 2 of warmup, half a cosine over 6
RATES = [2e-2 * share for share in (0.5, 1.0, 1.0, 0.9330127, 0.75, 0.5, 0.25, 0.0669873)]


def run(tiny: Bundle, rows: list[Encoded], section: TuneSection, folder: Path) -> Summary:
    *_, summary = train(tiny, rows, section, folder=folder, seed=7)
    assert isinstance(summary, Summary)
    return summary


def test_full_tuning_takes_the_plain_path(tmp_path: Path) -> None:
    ours, peer = bundle(), bundle()
    rows = documents(16, len(ours.tokenizer))
    summary = run(ours, rows, FULL, tmp_path)
    peer.model.requires_grad_(True)
    assert summary.losses == pytest.approx(plain_training(peer.model, rows, seed=7, rates=RATES), rel=2e-4)
    assert summary.losses[-1] < summary.losses[0] - 0.5
    for (name, a), b in zip(ours.model.named_parameters(), peer.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=2e-3, msg=name)
    again = LlamaForCausalLM.from_pretrained(tmp_path / "weights")
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.equal(again(input_ids=ids).logits, ours.model(input_ids=ids).logits)


def test_lora_takes_the_plain_path_and_reloads_in_plain_peft(tmp_path: Path) -> None:
    ours, peer = bundle(), bundle()
    untouched = {name: weight.clone() for name, weight in ours.model.named_parameters()}
    rows = documents(16, len(ours.tokenizer))
    summary = run(ours, rows, LORA, tmp_path)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(7, "method"))
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
        adapted = get_peft_model(peer.model, config)
    assert summary.losses == pytest.approx(plain_training(adapted, rows, seed=7, rates=RATES), rel=2e-4)
    assert summary.losses[-1] < summary.losses[0]
    assert summary.reload_difference == 0.0

    for name, weight in ours.model.named_parameters():
        assert torch.equal(weight, untouched[name]), f"{name}: the base has moved"
    files = sorted(path.name for path in (tmp_path / "weights").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors"]
    assert json.loads((tmp_path / "weights" / "adapter_config.json").read_text())["r"] == 4

    ids = torch.arange(20)[None]
    with quiet(), torch.no_grad():
        again = PeftModel.from_pretrained(bundle().model, str(tmp_path / "weights"))
        expected = adapted.eval()(input_ids=ids).logits
        found = again.eval()(input_ids=ids).logits
        start = ours.model(input_ids=ids).logits
        merged = add_adapter(bundle().model, tmp_path / "weights", merge=True)
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=5e-3)
        assert (found - start).abs().max() > 0.05
        torch.testing.assert_close(merged(input_ids=ids).logits, found, rtol=1e-4, atol=1e-4)
