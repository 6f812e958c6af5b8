"""What anyone would write: Hugging Face forward, torch cross-entropy, one document at a time, torch AdamW."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.tune.training.batches import rows_of_step

WEIGHT_DECAY, BETAS, CLIP, BATCH = 0.05, (0.9, 0.95), 0.5, 4


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


def plain_training(
    model: nn.Module,
    rows: list[Encoded],
    *,
    seed: int,
    rates: Sequence[float],
    decays: Callable[[Tensor], bool] = lambda weight: weight.ndim > 1,
) -> list[float]:
    """The losses of a step for each of ``rates``."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if decays(p)], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if not decays(p)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=rates[0], betas=BETAS)
    losses = []
    for step, rate in enumerate(rates):
        batch = [rows[index] for index in rows_of_step(step, rows=len(rows), batch_size=BATCH, seed=seed)]
        loss = plain_loss(model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, CLIP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses
