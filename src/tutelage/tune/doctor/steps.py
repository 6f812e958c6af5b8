"""Loss and gradient of a step: equal for every split into micro-batches, and equal to what plain code computes."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tutelage.models.template import Encoded
from tutelage.tune.doctor.check import Check, is_exact, judged
from tutelage.tune.doctor.trial import collected, gap, gradient
from tutelage.tune.methods import Tuned
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer

ACCUMULATION, FAST = "micro-batches", "fast path"
LOSS_TOLERANCES = {True: 1e-4, False: 0.01}
"""Largest relative difference of the loss, of float32 and of less precise arithmetic."""
GRADIENT_TOLERANCES = {True: 1e-3, False: 0.1}
"""Largest ‖difference‖ / ‖gradient‖, likewise. A wrong scale of the loss, the usual fault, is far beyond both."""


def check_accumulation(network: Network, optimizer: Optimizer, documents: Sequence[Encoded]) -> Check:
    """Compute one step whole, in a few micro-batches and row by row."""
    tokens = sum(map(len, documents))
    whole, expected, _ = gradient(network, optimizer, documents, limit=tokens)
    splits, losses, gradients = [], [], []
    for limit in (tokens // 3, 1):
        loss, found, count = gradient(network, optimizer, documents, limit=limit)
        splits.append(count)
        losses.append(abs(loss - whole) / whole)
        gradients.append(gap(found, expected))
    split = " and ".join(map(str, splits))
    return _judged(
        ACCUMULATION,
        f"1, {split} micro-batches",
        next(iter(optimizer.parameters.values())).dtype,
        loss=_worst(losses),
        apart=_worst(gradients),
        remedy="report this with the name of the model; train with one micro-batch a step until then",
    )


def check_fast_path(
    tuned: Tuned, optimizer: Optimizer, documents: Sequence[Encoded], *, loss: float, found: Mapping[str, Tensor]
) -> Check:
    """Compare ``loss`` and the gradient ``found`` with those of the model's own attention, PEFT's layers and full
    logits, one document after another."""
    tuned.settle()
    model = tuned.model
    total = sum(map(target_count, documents))
    plain = 0.0
    for document in documents:
        ids = torch.as_tensor(document.ids, dtype=torch.int64, device=model.device)
        learned = torch.as_tensor(document.targets[1:], dtype=torch.bool, device=ids.device)
        logits = model(input_ids=ids[None]).logits[0, :-1][learned].float()
        share = cross_entropy(logits, ids[1:][learned], reduction="sum") / total
        share.backward()  # type: ignore[no-untyped-call]
        optimizer.collect()
        plain += share.item()
    return _judged(
        FAST,
        "plain transformers and PEFT",
        model.dtype,
        loss=abs(loss - plain) / plain,
        apart=gap(found, collected(optimizer)),
        remedy="report this with the name of the model; its steps are not what its own code computes",
    )


def _judged(name: str, what: str, dtype: torch.dtype, *, loss: float, apart: float, remedy: str) -> Check:
    most_loss, most_gradient = LOSS_TOLERANCES[is_exact(dtype)], GRADIENT_TOLERANCES[is_exact(dtype)]
    return judged(
        name,
        loss <= most_loss and apart <= most_gradient,
        f"{what}: loss off by {loss:.2g}, gradient by {apart:.2g}",
        tolerance=f"{most_loss:g}; {most_gradient:g}",
        remedy=remedy,
        figures={"loss": loss, "gradient": apart, "loss_tolerance": most_loss, "gradient_tolerance": most_gradient},
    )


def _worst(values: Sequence[float]) -> float:
    return max(values) if all(map(math.isfinite, values)) else math.nan
