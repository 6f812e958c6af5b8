"""Prefix and prompt tuning against the plain thing: PEFT's forward, one document at a time, torch AdamW."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.support.soft_peer import COUNT, METHODS, bundle_of, documents, logits_of, losses_of, peft_from, peft_of
from torch import nn

from tutelage.models.hardware import cast_weights
from tutelage.recipe.tune import AdamWOptimizer, CosineSchedule, TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune import Summary, train
from tutelage.tune.training.batches import rows_of_step

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
SEED, BATCH, STEPS, CLIP = 7, 4, 12, 0.5
LENGTHS = (9, 14, 6, 23, 31, 8, 17, 12, 40, 11, 5, 28)
RATES = {"prompt": 3e-2, "prefix": 1e-2, "prefix of a projection": 1e-2}
FILES = ["adapter_config.json", "adapter_model.safetensors"]


def section_of(name: str) -> TuneSection:
    return TuneSection(
        method=METHODS[name],
        optimizer=AdamWOptimizer(kind="adamw", lr=RATES[name], weight_decay=0.05, betas=(0.9, 0.95)),
        schedule=CosineSchedule(kind="cosine", warmup_share=0.25),
        batch_size=BATCH,
        epochs=4,
        micro_batch_tokens=60,
        clip_norm=CLIP,
    )


def shares() -> list[float]:
    """Three steps of warmup, half a cosine over the other nine."""
    return [1 / 3, 2 / 3, 1.0, *(0.5 * (1 + math.cos(math.pi * at / 9)) for at in range(9))]


@pytest.mark.parametrize("name", METHODS)
def test_training_takes_the_plain_path_and_reloads_in_plain_peft(tmp_path: Path, name: str) -> None:
    rows = documents(LENGTHS)
    *_, summary = train(bundle_of("grouped heads"), rows, section_of(name), folder=tmp_path, seed=SEED)
    assert isinstance(summary, Summary)
    peer = peft_of(bundle_of("grouped heads").model, METHODS[name], seed=derive_seed(SEED, "method")).train()
    trained = list(peer.prompt_encoder.parameters())
    groups = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": 0.05},
        {"params": [one for one in trained if one.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.95))
    losses = []
    for step, share in enumerate(shares()):
        chosen = rows_of_step(step, rows=len(rows), batch_size=BATCH, seed=SEED)
        loss = torch.cat([losses_of(peer, rows[at]) for at in chosen]).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, CLIP)
        for group in optimizer.param_groups:
            group["lr"] = RATES[name] * share
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert len(losses) == STEPS
    assert summary.losses == pytest.approx(losses, rel=1e-4)
    assert summary.losses[-1] < summary.losses[0]
    assert summary.reload_difference < 1e-4
    assert summary.trainable_parameters == sum(one.numel() for one in trained)

    weights = tmp_path / "weights"
    assert sorted(path.name for path in weights.iterdir()) == FILES
    again = peft_from(bundle_of("grouped heads").model, weights)
    for row in rows[:3]:
        with torch.no_grad():
            expected = logits_of(peer.eval(), row)
            torch.testing.assert_close(logits_of(again, row), expected, rtol=1e-2, atol=5e-3)


@pytest.mark.parametrize("name", METHODS)
def test_a_bfloat16_model_keeps_what_is_learned_in_float32(tmp_path: Path, name: str) -> None:
    bundle = bundle_of("grouped heads")
    cast_weights(bundle.model, torch.bfloat16)
    *_, summary = train(bundle, documents(LENGTHS), section_of(name), folder=tmp_path, seed=SEED)
    assert isinstance(summary, Summary)
    assert summary.dtype == "bfloat16"
    assert summary.losses[-1] < summary.losses[0]
    plain = train(bundle_of("grouped heads"), documents(LENGTHS), section_of(name), folder=tmp_path / "32", seed=SEED)
    *_, exact = plain
    assert isinstance(exact, Summary)
    assert summary.losses == pytest.approx(exact.losses, rel=2e-2)
    found = load_file(tmp_path / "weights" / "adapter_model.safetensors")["prompt_embeddings"]
    assert found.dtype == torch.float32
    assert found.shape[0] == COUNT
    assert not torch.equal(found, found.bfloat16().float()), "float32 and not rounded"
    said = json.loads((tmp_path / "weights" / "adapter_config.json").read_text())
    assert said["peft_type"] == ("PROMPT_TUNING" if name == "prompt" else "PREFIX_TUNING")
    assert said["num_virtual_tokens"] == COUNT
