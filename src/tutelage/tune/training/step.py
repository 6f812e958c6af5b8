"""One optimizer step: any split into micro-batches gives the same loss and the same gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from tutelage.errors import TrainingError
from tutelage.models.faults import is_out_of_memory
from tutelage.models.template import Encoded
from tutelage.tune.objectives import Objective
from tutelage.tune.training.batches import flatten, micro_batches, pack, target_count
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer

REMEDY = "lower the learning rate, or look at these rows; the last checkpoint is kept"


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Batch(Generic[Row]):
    """Rows of one optimizer step under one objective; their mean loss is part of the step's, times ``scale``.

    ``names`` are the numbers of the rows in the data, ``step`` counts from 1: for errors.
    """

    step: int
    objective: Objective[Row]
    names: Sequence[int]
    rows: Sequence[Row]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What one batch came to: its loss (mean over its denominator, before ``scale``) and its sizes."""

    loss: float
    tokens: int
    target_tokens: int


@dataclass(frozen=True, slots=True)
class Accumulated:
    """What the batches of a step came to, in order, in how many micro-batches, of what size the memory allowed."""

    batches: tuple[Collected, ...]
    micro_batches: int
    limit: int


def accumulate(
    network: Network, batches: Sequence[Batch[Any]], *, optimizer: Optimizer, limit: int, seed: int
) -> Accumulated:
    """Collect the gradient of Σ scale · Σ loss / Σ weight over ``batches`` and their rows in ``optimizer``.

    Parameters
    ----------
    limit: tokens a micro-batch; halved and the step repeated as long as the accelerator's memory does not suffice.
    seed: of dropout; the caller's random state is left alone.

    Raises
    ------
    TrainingError: a loss is not finite, or the memory does not suffice for a single row.
    """
    documents = [[batch.objective.documents(row) for row in batch.rows] for batch in batches]
    sizes = [[sum(len(document.ids) for document in group) for group in groups] for groups in documents]
    while True:
        splits = [micro_batches(of_batch, limit) for of_batch in sizes]
        try:
            with torch.random.fork_rng(devices=[network.device] if network.device.type == "cuda" else []):
                torch.manual_seed(seed)
                losses = [
                    _collect(network, *work, optimizer=optimizer)
                    for work in zip(batches, documents, splits, strict=True)
                ]
            found = zip(losses, sizes, documents, strict=True)
            return Accumulated(
                batches=tuple(
                    Collected(loss, sum(size), sum(target_count(document) for document in flatten(groups)))
                    for loss, size, groups in found
                ),
                micro_batches=sum(map(len, splits)),
                limit=limit,
            )
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            limit = _smaller(splits, sizes, error)
        optimizer.discard()


def _collect(
    network: Network,
    batch: Batch[Any],
    documents: Sequence[tuple[Encoded, ...]],
    split: list[list[int]],
    *,
    optimizer: Optimizer,
) -> float:
    total = sum(batch.objective.weight(row) for row in batch.rows)
    loss = 0.0
    for part in split:
        packed = pack(flatten([documents[index] for index in part]), network.device)
        share = batch.objective.loss(network, [batch.rows[index] for index in part], packed) / total
        loss += _finite(share.item(), "loss", batch.step, [batch.names[index] for index in part])
        (share * batch.scale).backward()  # type: ignore[no-untyped-call]
        optimizer.collect()
    return loss


def update(optimizer: Optimizer, batch: Batch[Any], *, lr: float, clip_norm: float) -> float:
    """Clip the collected gradient, move the weights and return the gradient's norm before clipping.

    Raises
    ------
    TrainingError: the gradient is not finite; the weights have not moved.
    """
    norm = _finite(optimizer.clip(clip_norm), "gradient", batch.step, batch.names)
    optimizer.step(lr)
    return norm


def _smaller(splits: list[list[list[int]]], sizes: list[list[int]], error: Exception) -> int:
    together = [
        sum(of_batch[index] for index in part)
        for split, of_batch in zip(splits, sizes, strict=True)
        for part in split
        if len(part) > 1
    ]
    if not together:
        raise TrainingError(
            "the memory does not suffice for one row",
            received=f"a row of {max(map(max, sizes))} tokens",
            remedy="lower max_tokens, or take a smaller model or rank",
        ) from error
    return max(together) // 2


def _finite(value: float, what: str, step: int, names: Sequence[int]) -> float:
    if not math.isfinite(value):
        where = f"step {step}, rows {', '.join(str(name) for name in names)}"
        raise TrainingError(f"the {what} is not finite", where=where, received=str(value), remedy=REMEDY)
    return value
