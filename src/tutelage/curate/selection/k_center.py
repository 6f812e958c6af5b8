"""K-center: the kept rows are chosen so that no row is far from all of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.embedding import embed
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.selection.vectors import Vectors
from tutelage.curate.step import Content, Sifted, drop
from tutelage.events import Emit, progress, silent
from tutelage.recipe.curate.embedding import Embedding
from tutelage.records import Example


@dataclass(frozen=True, slots=True)
class Center:
    """A chosen vector, and how far the farthest one was from all those chosen before it (Euclidean, at most 2; infinite
    for the first)."""

    place: int
    distance: float


def k_center(vectors: Vectors) -> Iterator[Center]:
    """Yield all places, each time the one that is farthest from all before it (Gonzalez 1985, the greedy k-center of
    Sener & Savarese 2018, algorithm 1).

    The first is the one with the largest mean cosine to all, where the papers take any; of equally far ones the smaller
    place comes first. After k of them no vector is farther than twice the best possible radius of k centers from its
    nearest. Distances are those of unit vectors, √(2 − 2 cos), which order as cosines do. A place costs one product
    with all vectors; memory holds a few numbers for each.
    """
    nearest = np.full(len(vectors), -np.inf, dtype=np.float32)
    for number in range(len(vectors)):
        place = int(np.argmin(nearest)) if number else int(np.argmax(vectors.to_sum()))
        yield Center(place, math.sqrt(max(0.0, 2 - 2 * float(nearest[place]))))
        np.maximum(nearest, vectors.cosines([place])[0], out=nearest)
        nearest[place] = np.inf  # never the farthest again


class KCenter:
    """Keeps ``amount`` of the rows so that the others are near one of them (:func:`k_center`).

    Rows go in by id and content, so the order in which they come decides nothing.
    """

    name = "k_center"

    def __init__(
        self, *, amount: Amount, embedding: Embedding, reader: RowReader | None = None, emit: Emit = silent
    ) -> None:
        self.amount = amount
        self.embedding = embedding
        self.reader = reader
        self.emit = emit

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped; the note tells how far the farthest dropped row is."""
        ordered = sorted(rows, key=lambda row: (row.id, Content(row)))
        count = self.amount.of(len(ordered))
        if count == len(ordered):
            return Sifted(ordered, [])
        vectors = embed(ordered, self.embedding, self.reader)
        found = progress(
            self.emit, islice(k_center(vectors), count + 1), label="k-center", total=count + 1, unit="rows"
        )
        *centers, farthest = found
        kept = {center.place for center in centers}
        detail = f"{count:,} rows stand for {len(ordered):,}"
        dropped = [drop(row, self.name, "near a kept row", detail) for at, row in enumerate(ordered) if at not in kept]
        cosine = 1 - farthest.distance**2 / 2
        note = f"no dropped row is less like its nearest kept row than cosine {cosine:.3f}"
        return Sifted([row for at, row in enumerate(ordered) if at in kept], dropped, (note,))
