"""The loop against the plain thing: Hugging Face forward, torch cross-entropy, one document at a time, torch AdamW."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from tutelage.models.adapters import add_adapter
from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import AdamWOptimizer, CosineSchedule, FullMethod, LoraMethod, TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune import Summary, train
from tutelage.tune.training.batches import rows_of_step

LORA = TuneSection(
    method=LoraMethod(kind="lora", r=4, alpha=8),
    optimizer=AdamWOptimizer(kind="adamw", lr=2e-2, weight_decay=0.05, betas=(0.9, 0.95)),
    schedule=CosineSchedule(kind="cosine", warmup_share=0.25),
    batch_size=4,
    epochs=2,
    micro_batch_tokens=48,
    clip_norm=0.5,
)
FULL = LORA.model_copy(update={"method": FullMethod(kind="full")})


def bundle() -> Bundle:
    """The tiny model with fewer key than query heads, as most models have today."""
    tiny = tiny_model()
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = LlamaConfig(**{**tiny.model.config.to_dict(), "num_key_value_heads": 2})
        tiny.model = LlamaForCausalLM(config).train(False)
    return tiny


def documents(count: int, vocabulary: int) -> list[Encoded]:
    generator = np.random.default_rng(3)
    rows = []
    for _ in range(count):
        length = int(generator.integers(3, 40))
        targets = generator.random(length) < 0.6
        targets[-1] = True
        rows.append(Encoded(ids=generator.integers(0, vocabulary, length).astype(np.int32), targets=targets))
    return rows


def plain_loss(model: nn.Module, rows: list[Encoded]) -> Tensor:
    total, count = torch.zeros(()), 0
    for row in rows:
        ids = torch.as_tensor(row.ids, dtype=torch.int64)
        labels = torch.where(torch.as_tensor(row.targets), ids, -100)
        logits = model(input_ids=ids[None]).logits[0]
        total = total + cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
        count += int((labels[1:] != -100).sum())
    return total / count


def plain_training(model: nn.Module, rows: list[Encoded], seed: int) -> list[float]:
    """Ten lines that anyone would write, with the settings above."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=2e-2, betas=(0.9, 0.95))
    shares = [0.5, 1.0, 1.0, 0.9330127, 0.75, 0.5, 0.25, 0.0669873]  # 8 steps, 2 of warmup, half a cosine over 6
    losses = []
    for step, share in enumerate(shares):
        batch = [rows[index] for index in rows_of_step(step, rows=len(rows), batch_size=4, seed=seed)]
        loss = plain_loss(model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 0.5)
        for group in optimizer.param_groups:
            group["lr"] = 2e-2 * share
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def run(tiny: Bundle, rows: list[Encoded], section: TuneSection, folder: Path) -> Summary:
    *_, summary = train(tiny, rows, section, folder=folder, seed=7)
    assert isinstance(summary, Summary)
    return summary


def test_full_tuning_takes_the_plain_path(tmp_path: Path) -> None:
    ours, peer = bundle(), bundle()
    rows = documents(16, len(ours.tokenizer))
    summary = run(ours, rows, FULL, tmp_path)
    peer.model.requires_grad_(True)
    assert summary.losses == pytest.approx(plain_training(peer.model, rows, 7), rel=2e-4)
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
    assert summary.losses == pytest.approx(plain_training(adapted, rows, 7), rel=2e-4)
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
