"""Noise on embeddings (NEFTune): its size by document, its seed, and where there is none."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, RetentionSection
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import Sft
from tutelage.tune.retention import Retention, remember
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import Packed
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Batch, accumulate

LENGTHS = (40, 90)


def documents() -> list[Encoded]:
    return [
        Encoded(ids=np.arange(5, 5 + length, dtype=np.int32), targets=np.ones(length, dtype=np.bool_))
        for length in LENGTHS
    ]


def overheard(network: Network, heard: list[tuple[Packed, Tensor | None]]) -> Network:
    def hidden(packed: Packed, noise: Tensor | None = None) -> Tensor:
        heard.append((packed, noise))
        return network.hidden(packed, noise)

    return replace(network, hidden=hidden)


def test_it_has_the_size_of_the_paper_and_the_seed_of_the_step() -> None:
    bundle = tiny_model()
    tuned = build_method(FullMethod(kind="full"))(bundle, 0)
    optimizer = Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))
    memories = list(remember(bundle, RetentionSection(texts=1, tokens=20), seed=0))
    heard: list[tuple[Packed, Tensor | None]] = []
    losses = []
    with connect(tuned.model) as network:
        for alpha, seed in ((5.0, 1), (5.0, 1), (5.0, 2), (0.0, 1)):
            rows = Batch(1, Sft(alpha=alpha), range(2), documents())
            beside = Retention(memories, RetentionSection(texts=1, tokens=20, texts_a_step=1), seed=0).of_step(0)
            listening = overheard(network, heard)
            done = accumulate(listening, [rows, beside], optimizer=optimizer, limit=1000, seed=seed)
            optimizer.discard()
            losses.append(done.batches[0].loss)
    noise = heard[0][1]
    assert noise is not None
    assert heard[3][1] is None
    assert heard[0][0].places is None  # alike as they begin, the two have noise of their own
    assert heard[3][0].places is not None
    parts = torch.split(noise[0], [*LENGTHS, 20])
    for part, length in zip(parts, LENGTHS, strict=False):
        most = 5.0 / math.sqrt(length * noise.shape[-1])
        assert part.abs().max().item() <= most
        assert abs(part.std().item() * math.sqrt(3) / most - 1) < 0.05  # that of a uniform distribution
    assert not parts[2].any()  # what holds the model to what it knew is read as it was written
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3
