"""Rows one after another, each kept only if none that was kept before it is nearly the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tutelage.curate.selection.vectors import BLOCK_NUMBERS, SAME, Vectors
from tutelage.events import Emit, progress, silent

BLOCK = 256


@dataclass(frozen=True, slots=True)
class Like:
    """The kept vector that one is most like, and their cosine."""

    place: int
    cosine: float


def keep_apart(
    vectors: Vectors, order: Sequence[int], limit: float, *, count: int | None = None, emit: Emit = silent
) -> tuple[list[int], dict[int, Like]]:
    """Return which of ``order`` are kept, and what each that is too near a kept one is most like.

    Too near is a cosine of ``limit`` or more, with the tolerance of float32; of equally near ones the earlier is named.
    Once ``count`` are kept the rest is not looked at. At most n²/2 cosines, in blocks: memory holds the vectors and as
    many numbers as a block has.
    """
    kept: list[int] = []
    alike: dict[int, Like] = {}
    starts = range(0, len(order), BLOCK)
    for start in progress(emit, starts, label="likeness", total=len(starts), unit="blocks"):
        if count is not None and len(kept) >= count:
            continue
        block = order[start : start + BLOCK]
        before = _nearest(vectors, block, kept)
        within = vectors.cosines(block, block)
        added: list[int] = []
        for at, place in enumerate(block):
            if count is not None and len(kept) >= count:
                break
            near = before[at]
            if added:
                best = int(np.argmax(within[at, added]))
                found = float(within[at, added[best]])
                near = near if near is not None and near.cosine >= found else Like(block[added[best]], found)
            if near is not None and near.cosine >= limit - SAME:
                alike[place] = near
            else:
                added.append(at)
                kept.append(place)
    return kept, alike


def _nearest(vectors: Vectors, block: Sequence[int], kept: Sequence[int]) -> list[Like | None]:
    """Which of ``kept`` each of a block is most like."""
    found: list[Like | None] = [None] * len(block)
    size = BLOCK_NUMBERS // BLOCK
    for start in range(0, len(kept), size):
        others = kept[start : start + size]
        cosines = vectors.cosines(block, others)
        for at, best in enumerate(cosines.argmax(axis=1).tolist()):
            cosine, known = float(cosines[at, best]), found[at]
            if known is None or cosine > known.cosine:
                found[at] = Like(others[best], cosine)
    return found
