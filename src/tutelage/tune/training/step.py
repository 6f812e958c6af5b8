"""One optimizer step: any split into micro-batches gives the same loss and the same gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tutelage.errors import TrainingError
from tutelage.models.faults import is_out_of_memory
from tutelage.models.template import Encoded
from tutelage.tune.objectives import Objective
from tutelage.tune.training.batches import flatten, micro_batches, pack, target_count
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer

REMEDY = "lower the learning rate, or look at these rows; the last checkpoint is kept"


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one optimizer step; ``names`` are their numbers in the data, ``step`` counts from 1: for errors."""

    step: int
    names: Sequence[int]
    rows: Sequence[Encoded]


@dataclass(frozen=True, slots=True)
class Accumulated:
    """A step's loss (mean over its denominator), its sizes, and the micro-batch limit that the memory allowed."""

    loss: float
    tokens: int
    target_tokens: int
    micro_batches: int
    limit: int


def accumulate(
    network: Network, batch: Batch, *, objective: Objective[Encoded], optimizer: Optimizer, limit: int, seed: int
) -> Accumulated:
    """Collect the gradient of Σ loss / Σ weight over the rows of ``batch`` in ``optimizer``.

    Parameters
    ----------
    limit: tokens a micro-batch; halved and the step repeated as long as the accelerator's memory does not suffice.
    seed: of dropout; the caller's random state is left alone.

    Raises
    ------
    TrainingError: a loss is not finite, or the memory does not suffice for a single row.
    """
    rows = batch.rows
    documents = [objective.documents(row) for row in rows]
    sizes = [sum(len(document.ids) for document in group) for group in documents]
    total = sum(objective.weight(row) for row in rows)
    while True:
        batches = micro_batches(sizes, limit)
        try:
            with torch.random.fork_rng(devices=[network.device] if network.device.type == "cuda" else []):
                torch.manual_seed(seed)
                loss = 0.0
                for part in batches:
                    packed = pack(flatten([documents[index] for index in part]), network.device)
                    share = objective.loss(network, [rows[index] for index in part], packed) / total
                    loss += _finite(share.item(), "loss", batch.step, [batch.names[index] for index in part])
                    share.backward()  # type: ignore[no-untyped-call]
                    optimizer.collect()
            return Accumulated(
                loss=loss,
                tokens=sum(sizes),
                target_tokens=sum(target_count(document) for document in flatten(documents)),
                micro_batches=len(batches),
                limit=limit,
            )
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            limit = _smaller(batches, sizes, error)
        optimizer.discard()


def update(optimizer: Optimizer, batch: Batch, *, lr: float, clip_norm: float) -> float:
    """Clip the collected gradient, move the weights and return the gradient's norm before clipping.

    Raises
    ------
    TrainingError: the gradient is not finite; the weights have not moved.
    """
    norm = _finite(optimizer.clip(clip_norm), "gradient", batch.step, batch.names)
    optimizer.step(lr)
    return norm


def _smaller(batches: list[list[int]], sizes: list[int], error: Exception) -> int:
    if all(len(batch) == 1 for batch in batches):
        raise TrainingError(
            "the memory does not suffice for one row",
            received=f"a row of {max(sizes)} tokens",
            remedy="lower max_tokens, or take a smaller model or rank",
        ) from error
    return max(sum(sizes[index] for index in batch) for batch in batches if len(batch) > 1) // 2


def _finite(value: float, what: str, step: int, names: Sequence[int]) -> float:
    if not math.isfinite(value):
        where = f"step {step}, rows {', '.join(str(name) for name in names)}"
        raise TrainingError(f"the {what} is not finite", where=where, received=str(value), remedy=REMEDY)
    return value
