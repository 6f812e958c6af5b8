"""One optimizer step: any split into micro-batches and over processes gives the same loss and the same gradient."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from tutelage.errors import TrainingError
from tutelage.models.faults import is_out_of_memory
from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Objective
from tutelage.tune.training.batches import flatten, micro_batches, target_count
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.processes import ALONE, Processes, shares

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
    """What one batch came to: its loss (before ``scale``), what is told of its rows (means), and its sizes."""

    loss: float
    told: Mapping[str, float]
    tokens: int
    target_tokens: int


@dataclass(frozen=True, slots=True)
class Accumulated:
    """What the batches of a step came to, in order, in how many micro-batches, of what size the memory allowed."""

    batches: tuple[Collected, ...]
    micro_batches: int
    limit: int


def accumulate(
    network: Network,
    batches: Sequence[Batch[Any]],
    *,
    optimizer: Optimizer,
    limit: int,
    seed: int,
    processes: Processes = ALONE,
) -> Accumulated:
    """Collect the gradient of Σ scale · loss over ``batches`` in ``optimizer``.

    Rows of several batches share micro-batches: the model runs once over all that ``limit`` allows. Of several
    ``processes`` each computes its share of the rows, and all get the sums.

    Parameters
    ----------
    limit: tokens a micro-batch; halved and the step repeated as long as the accelerator's memory does not suffice.
        Sharded processes make as many passes each, those with fewer rows empty ones, and cannot repeat them.
    seed: of dropout; the caller's random state is left alone.

    Raises
    ------
    TrainingError: a loss is not finite, the memory does not suffice for a single row, or another process has ended.
    """
    documents = [[batch.objective.documents(row) for row in batch.rows] for batch in batches]
    places = [(number, index) for number, groups in enumerate(documents) for index in range(len(groups))]
    sizes = [sum(len(one.ids) + network.virtual for one in documents[number][index]) for number, index in places]
    divided = shares(sizes, processes.count)
    passes = max(len(micro_batches([sizes[index] for index in share], limit)) for share in divided)
    own = divided[processes.rank]
    places, sizes = [places[index] for index in own], [sizes[index] for index in own]
    while True:
        split = micro_batches(sizes, limit)
        empty: list[list[tuple[int, int]]] = [[]] * (passes - len(split) if network.sharded else 0)
        try:
            with torch.random.fork_rng(devices=[network.device] if network.device.type == "cuda" else []):
                torch.manual_seed(processes.seed(seed))
                parts = [[places[index] for index in part] for part in split]
                found = _collect(network, batches, documents, parts + empty, optimizer=optimizer)
            break
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if network.sharded:
                raise _too_large(limit) from error
            limit = _smaller(split, sizes, error)
        optimizer.discard()
    optimizer.add_up(processes)
    everywhere = processes.gather((found, len(split), limit))
    return Accumulated(
        batches=tuple(
            Collected(*_added_up(parts), sum(map(_length, texts)), sum(map(target_count, texts)))
            for texts, *parts in zip(map(flatten, documents), *(part for part, _, _ in everywhere), strict=True)
        ),
        micro_batches=sum(count for _, count, _ in everywhere),
        limit=min(allowed for _, _, allowed in everywhere),
    )


def _collect(
    network: Network,
    batches: Sequence[Batch[Any]],
    documents: Sequence[Sequence[tuple[Encoded, ...]]],
    parts: Sequence[Sequence[tuple[int, int]]],
    *,
    optimizer: Optimizer,
) -> list[tuple[float, dict[str, float]]]:
    """The gradient, one micro-batch after the other, and what each batch came to; places are (batch, row).

    A micro-batch of no rows is a pass beside those of other processes, which adds nothing.
    """
    totals = [
        [sum(weights) for weights in zip(*(batch.objective.weights(row) for row in batch.rows), strict=True)]
        for batch in batches
    ]
    losses = [0.0] * len(batches)
    told: list[dict[str, float]] = [defaultdict(float) for _ in batches]
    for part in parts:
        if not part:
            _nothing(network).backward()  # type: ignore[no-untyped-call]
            optimizer.collect()
            continue
        noise = [batches[n].objective.noise for n, index in part for _ in documents[n][index]]
        packed = network.pack(flatten([documents[n][index] for n, index in part]), share=not any(noise))
        predictions = network.predict(packed, noise=noise)
        shares, first = [], 0
        for number, members in groupby(part, key=itemgetter(0)):
            batch, chosen = batches[number], [index for _, index in members]
            end = first + sum(len(documents[number][index]) for index in chosen)
            cost = batch.objective.cost([batch.rows[index] for index in chosen], predictions.of(first, end))
            terms = zip(batch.objective.scales, cost.terms, totals[number], strict=True)
            share = torch.stack([scale * term / total for scale, term, total in terms]).sum()
            losses[number] += _finite(share.item(), "loss", batch.step, [batch.names[index] for index in chosen])
            for name, value in cost.told.items():
                told[number][name] += value.item() / len(batch.rows)
            shares.append(share * batch.scale)
            first = end
        torch.stack(shares).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.collect()
    return list(zip(losses, map(dict, told), strict=True))


def _nothing(network: Network) -> Tensor:
    """A loss of 0 whose way back leads through the same weights as that of any row, and gives each a gradient of 0."""
    shortest = Encoded(ids=np.zeros(2, dtype=np.int32), targets=np.array([False, True]))
    predictions = network.predict(network.pack([shortest], share=False))
    found = predictions.token_losses() if predictions.rewards is None else predictions.rewards
    return 0 * found.sum()


def _added_up(parts: Sequence[tuple[float, Mapping[str, float]]]) -> tuple[float, dict[str, float]]:
    """Loss and what is told of a batch, of which each process had a part."""
    names = dict.fromkeys(name for _, told in parts for name in told)
    return sum(loss for loss, _ in parts), {name: sum(told.get(name, 0.0) for _, told in parts) for name in names}


def update(optimizer: Optimizer, batch: Batch[Any], *, lr: float, clip_norm: float) -> float:
    """Clip the collected gradient, move the weights and return the gradient's norm before clipping.

    Raises
    ------
    TrainingError: the gradient is not finite; the weights have not moved.
    """
    norm = _finite(optimizer.clip(clip_norm), "gradient", batch.step, batch.names)
    optimizer.step(lr)
    return norm


def _length(document: Encoded) -> int:
    return len(document.ids)


def _smaller(split: list[list[int]], sizes: list[int], error: Exception) -> int:
    together = [sum(sizes[index] for index in part) for part in split if len(part) > 1]
    if not together:
        raise TrainingError(
            "the memory does not suffice for one row",
            received=f"a row of {max(sizes)} tokens",
            remedy="lower max_tokens, or take a smaller model or rank",
        ) from error
    return max(together) // 2


def _too_large(limit: int) -> TrainingError:
    return TrainingError(
        "the memory does not suffice, and sharded processes cannot go on with less at once",
        received=f"micro-batches of {limit} tokens",
        remedy="lower tune.micro_batch_tokens; the same command goes on from the last checkpoint",
    )


def _finite(value: float, what: str, step: int, names: Sequence[int]) -> float:
    if not math.isfinite(value):
        where = f"step {step}, rows {', '.join(str(name) for name in names)}"
        raise TrainingError(f"the {what} is not finite", where=where, received=str(value), remedy=REMEDY)
    return value
