"""Order of the rows, micro-batches, and packing: documents end to end in one row, no padding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.seeds import stream


@dataclass(frozen=True, slots=True)
class Packed:
    """Documents laid end to end: T tokens in one row, of which N are to be predicted.

    A token is predicted from the hidden state before it, so the first token of a document never is, whatever its mask.
    """

    ids: Tensor
    """int64 (1, T): the tokens."""
    positions: Tensor
    """int64 (1, T): position inside the document; restarts at 0."""
    lengths: tuple[int, ...]
    """Tokens of each document; they sum to T."""
    offsets: Tensor
    """int32 (documents + 1): where each document starts, and T."""
    sources: Tensor
    """int64 (N): index in the row of the hidden state that predicts each target."""
    targets: Tensor
    """int64 (N): the tokens to be predicted."""
    owners: Tensor
    """int64 (N): the document of each target."""


def pack(documents: Sequence[Encoded], device: torch.device) -> Packed:
    """Lay ``documents`` end to end on ``device``."""
    lengths = tuple(len(document.ids) for document in documents)
    offsets = [0, *accumulate(lengths)]
    ids = torch.cat([torch.as_tensor(document.ids, dtype=torch.int64) for document in documents])
    learned = torch.cat([torch.as_tensor(document.targets, dtype=torch.bool) for document in documents])
    learned[torch.tensor(offsets[:-1])] = False
    places = learned.nonzero(as_tuple=True)[0]
    owners = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[places]
    positions = torch.cat([torch.arange(length) for length in lengths])
    return Packed(
        ids=ids[None].to(device),
        positions=positions[None].to(device),
        lengths=lengths,
        offsets=torch.tensor(offsets, dtype=torch.int32, device=device),
        sources=(places - 1).to(device),
        targets=ids[places].to(device),
        owners=owners.to(device),
    )


def target_count(document: Encoded) -> int:
    """Return how many tokens of a document can be learned: those of the mask, without the document's first token."""
    return int(document.targets[1:].sum())


def unusable(document: Encoded, max_tokens: int) -> str:
    """Return why a document cannot be trained on; empty if it can."""
    if len(document.ids) > max_tokens:
        return f"{len(document.ids)} tokens; max_tokens is {max_tokens}"
    if target_count(document) == 0:
        return "no target tokens"
    return ""


def steps_an_epoch(rows: int, batch_size: int) -> int:
    """Return the optimizer steps of one epoch; the last one may hold fewer rows."""
    return math.ceil(rows / batch_size)


def total_steps(rows: int, *, batch_size: int, epochs: int, max_steps: int) -> int:
    """Return the optimizer steps of a whole run: ``epochs``, but at most ``max_steps`` unless that is 0."""
    steps = epochs * steps_an_epoch(rows, batch_size)
    return min(steps, max_steps) if max_steps else steps


def rows_of_step(step: int, *, rows: int, batch_size: int, seed: int) -> list[int]:
    """Return the rows of a step (counted from 0): a function of its arguments only, so a resumed run cannot drift.

    Each epoch is its own permutation of all rows.
    """
    epoch, within = divmod(step, steps_an_epoch(rows, batch_size))
    order = list(range(rows))
    stream(seed, "order", epoch).shuffle(order)
    return order[within * batch_size : (within + 1) * batch_size]


def micro_batches(sizes: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Split rows of ``sizes`` tokens, in order, into runs of at most ``max_tokens``; a larger row stands alone."""
    batches: list[list[int]] = []
    filled = 0
    for index, size in enumerate(sizes):
        if not batches or filled + size > max_tokens:
            batches.append([])
            filled = 0
        batches[-1].append(index)
        filled += size
    return batches


def flatten(groups: Sequence[tuple[Encoded, ...]]) -> list[Encoded]:
    """Return the documents of several rows in order."""
    return list(chain.from_iterable(groups))
