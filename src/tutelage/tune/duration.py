"""How long a tuning takes, told before its first step: the products that it cannot do without, at this device's speed.

A token costs a decoder with N weights in its layers 2N operations forward, 2N for the gradient of what came in and,
where they are trained, 2N for that of the weights (Kaplan et al. 2020, section 2.1); a learned token the output layer
besides. Attention, norms and all that is element-wise are not counted. Where a teacher reads along or answers are
sampled, the time is not told.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tutelage.models.bundle import Bundle
from tutelage.models.hardware import pick_dtype
from tutelage.recipe.objectives import RewardObjective, teaching_of
from tutelage.recipe.tune import FullMethod, TuneSection
from tutelage.tune.estimate import trained_weights
from tutelage.tune.rows import Row, documents_of, why_unusable
from tutelage.tune.training.batches import target_count, total_steps

WORTH_TELLING = 1e12
"""Operations below which a tuning is over before anybody has read how long it takes."""
READ = 512
"""Rows whose sizes are looked at."""
UNKNOWN = {"last", "qlora"}
"""Methods whose cost a token is another: the way back ends early, or weights are unpacked."""
AT_MOST = 4096
"""Tokens of the products that are timed: more are no faster, and take memory."""
MEASURED = 0.1
"""Seconds for which products are timed."""


@dataclass(frozen=True, slots=True)
class Duration:
    """``operations`` of all steps, in the products of layers and output layer alone, and the operations a ``second``
    that products of such sizes reached here."""

    operations: float
    second: float

    @property
    def seconds(self) -> float:
        """The shortest time that the steps can take."""
        return self.operations / self.second


def estimate_duration(bundle: Bundle, rows: Sequence[Row], section: TuneSection) -> Duration | None:
    """Return what the steps of a tuning take at least; None where that is not known of its method or objective (one
    that samples answers), or is not worth telling. Takes a moment: the speed of the device is measured.

    The model must have no adapter in it yet.
    """
    operations = operations_of(bundle, rows, section)
    if operations is None or operations < WORTH_TELLING:
        return None
    return Duration(operations, speed_of_products(bundle, section))


def operations_of(bundle: Bundle, rows: Sequence[Row], section: TuneSection) -> float | None:
    """Return the operations of all steps on the rows that can be trained on; None where they are not known: of answers
    that are sampled, of a teacher that reads along, of methods in :data:`UNKNOWN`.

    The sizes of many rows are taken from some of them. What rows share with one another is not known before they are
    packed, and counted as if they did not.
    """
    teaching = teaching_of(section.objective)
    beside = teaching is not None and (teaching.top_k is None or teaching.on_policy)
    if section.objective.rows == "prompts" or section.method.kind in UNKNOWN or beside:
        return None
    usable = [row for row in rows if not why_unusable(row, section, bundle.context)]
    if not usable:
        return None
    some = usable[:: math.ceil(len(usable) / READ)]
    sizes = [_size(row) for row in some]
    tokens, learned = (sum(size[at] for size in sizes) * len(usable) / len(some) for at in (0, 1))
    size, epochs = section.batch_size, section.epochs
    if section.retention is not None:  # texts of every step, read to their ends
        texts = section.retention.texts_a_step * section.retention.tokens
        tokens, learned = (of + texts * math.ceil(len(usable) / size) for of in (tokens, learned))
    whole = total_steps(len(usable), batch_size=size, epochs=epochs, max_steps=0)
    made = total_steps(len(usable), batch_size=size, epochs=epochs, max_steps=section.max_steps)
    layers, head = _weights(bundle)
    full = isinstance(section.method, FullMethod)
    adapters = 0 if full else trained_weights(bundle, section) or 0
    anew = 2 * layers if section.activation_checkpointing else 0
    # The logits are not kept, so the output layer is computed twice; its own weights move in full tuning alone.
    of_tokens = (6 if full else 4) * layers + 6 * adapters + anew
    of_learned = 0 if isinstance(section.objective, RewardObjective) else (8 if full else 6) * head
    return epochs * made / whole * (tokens * of_tokens + learned * of_learned)


def speed_of_products(bundle: Bundle, section: TuneSection) -> float:
    """Return the operations a second of products as wide as the model's inner layers, on its device."""
    device = bundle.model.device
    config = bundle.model.config.get_text_config()
    hidden = getattr(config, "hidden_size", 1024)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    dtype = bundle.model.dtype if section.dtype == "auto" else pick_dtype(section.dtype, device)
    a = torch.ones(min(section.micro_batch_tokens, AT_MOST), hidden, dtype=dtype, device=device)
    b = torch.ones(hidden, inner, dtype=dtype, device=device)
    best = torch.inf
    began = time.perf_counter()
    while time.perf_counter() - began < MEASURED or best is torch.inf:
        start = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * a.shape[0] * hidden * inner / best


def _weights(bundle: Bundle) -> tuple[int, int]:
    """Numbers in the linear layers of the decoder, and in the output layer."""
    head = bundle.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    linear = [module for module in bundle.model.modules() if isinstance(module, nn.Linear)]
    return sum(module.weight.numel() for module in linear if module is not head), head.weight.numel()


def _size(row: Row) -> tuple[int, int]:
    """Tokens of a row, of a pair with what its answers share once, and how many are learned."""
    documents = list(documents_of(row).values())
    shared = 0
    if len(documents) == 2:
        a, b = (document.ids[: min(map(len, documents))] for document in documents)
        shared = int(np.argmin(np.append(a == b, False)))
    return sum(map(len, documents)) - shared, sum(map(target_count, documents))
