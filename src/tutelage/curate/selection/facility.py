"""Facility location: the kept rows are chosen so that every row has one like it among them."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.embedding import embed
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.selection.vectors import BLOCK_NUMBERS, Floats, Vectors
from tutelage.curate.step import Content, Sifted, drop
from tutelage.events import Emit, progress, silent
from tutelage.recipe.curate.embedding import Embedding
from tutelage.records import Example

MOST_AT_ONCE = 64
"""Candidates whose gains are computed together: one product of matrices in place of as many with a vector."""
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Facility:
    """A chosen vector, and by how much it raised Σᵢ maxⱼ max(0, cos(i, j))."""

    place: int
    gain: float


def facility_location(vectors: Vectors, *, emit: Emit = silent) -> Iterator[Facility]:
    """Yield all places, each time the one that adds most to f(S) = Σᵢ max over j in S of max(0, cos(i, j)).

    f is monotone and submodular, so the first k have at least 1 − (1 − 1/k)^k > 1 − 1/e of the best f of k places
    (Nemhauser et al. 1978). Lazily (Minoux 1978): a gain can only shrink, so who was worth less than the best before is
    not looked at again; several who were worth more are looked at together, which changes who is computed and not who
    is chosen. Of equal gains, as two that are nearest to one another have, the smaller place comes first; gains are
    rounded to 4 decimals for it, or the last bits of a sum would decide. The first gains cost n² cosines, in blocks;
    memory holds the vectors and some 64 n numbers.
    """
    covered = np.zeros(len(vectors), dtype=np.float32)
    waiting = [(-gain, place) for place, gain in enumerate(_first_gains(vectors, emit))]
    heapq.heapify(waiting)
    fresh = set(range(len(vectors)))
    while waiting:
        at_once = 1
        while waiting[0][1] not in fresh:
            stale: list[int] = []
            while waiting and len(stale) < at_once and waiting[0][1] not in fresh:
                stale.append(heapq.heappop(waiting)[1])
            for place, gain in zip(stale, _gains(vectors, stale, covered), strict=True):
                heapq.heappush(waiting, (-gain, place))
            fresh.update(stale)
            at_once = min(2 * at_once, MOST_AT_ONCE, max(1, BLOCK_NUMBERS // len(vectors)))
        gain, place = heapq.heappop(waiting)
        yield Facility(place, -gain)
        np.maximum(covered, vectors.cosines([place])[0], out=covered)
        fresh.clear()


def _first_gains(vectors: Vectors, emit: Emit) -> list[float]:
    """What each would be worth alone."""
    found: list[float] = []
    blocks = list(vectors.blocks())
    for block in progress(emit, blocks, label="likeness of all rows", total=len(blocks), unit="blocks"):
        found += _gains(vectors, block, np.zeros(len(vectors), dtype=np.float32))
    return found


def _gains(vectors: Vectors, places: Sequence[int], covered: Floats) -> list[float]:
    """What each of ``places`` adds to what is ``covered``."""
    found = vectors.cosines(places)
    np.maximum(found, covered, out=found)
    now = found.sum(axis=1, dtype=np.float64) - covered.sum(dtype=np.float64)
    gains: list[float] = now.round(DECIMALS).tolist()
    return gains


class FacilityLocation:
    """Keeps ``amount`` of the rows, those that stand best for all of them (:func:`facility_location`).

    Rows go in by id and content, so the order in which they come decides nothing.
    """

    name = "facility_location"

    def __init__(
        self, *, amount: Amount, embedding: Embedding, reader: RowReader | None = None, emit: Emit = silent
    ) -> None:
        self.amount = amount
        self.embedding = embedding
        self.reader = reader
        self.emit = emit

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped; the note tells how well the kept rows stand for all."""
        ordered = sorted(rows, key=lambda row: (row.id, Content(row)))
        count = self.amount.of(len(ordered))
        if count == len(ordered):
            return Sifted(ordered, [])
        vectors = embed(ordered, self.embedding, self.reader)
        chosen = islice(facility_location(vectors, emit=self.emit), count)
        found = list(progress(self.emit, chosen, label="facility location", total=count, unit="rows"))
        kept = {one.place for one in found}
        detail = f"{count:,} rows stand for {len(ordered):,}"
        dropped = [
            drop(row, self.name, "kept rows stand for it", detail) for at, row in enumerate(ordered) if at not in kept
        ]
        mean = sum(one.gain for one in found) / len(ordered)
        note = f"mean cosine of a row with the kept one that is most like it: {mean:.3f}"
        return Sifted([row for at, row in enumerate(ordered) if at in kept], dropped, (note,))
