"""Rows that say nearly the same in other words."""

from collections.abc import Sequence

from tutelage.curate.selection.apart import keep_apart
from tutelage.curate.selection.embedding import embed
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.step import Sifted, drop, preference
from tutelage.events import Emit, silent
from tutelage.recipe.curate.embedding import Embedding
from tutelage.records import Example


class SemanticDuplicates:
    """Keeps one of rows whose embeddings have a cosine of ``cosine`` or more, the preferred one (``step.preference``).

    Rows are looked at in the order of preference, and each is compared with all that were kept before it (Abbas et al.
    2023, SemDeDup, without their clusters: no pair is missed). So two rows that are both like a third, dropped one may
    both be kept. It does not know whether two rows that look alike differ in the one word that matters.
    """

    name = "semantic_duplicates"

    def __init__(
        self, *, cosine: float = 0.95, embedding: Embedding, reader: RowReader | None = None, emit: Emit = silent
    ) -> None:
        self.cosine = cosine
        self.embedding = embedding
        self.reader = reader
        self.emit = emit

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        ordered = sorted(rows, key=preference)
        if len(ordered) < 2:
            return Sifted(ordered, [])
        vectors = embed(ordered, self.embedding, self.reader)
        kept, alike = keep_apart(vectors, range(len(ordered)), self.cosine, emit=self.emit)
        dropped = [
            drop(
                ordered[at],
                self.name,
                "it says the same as another row",
                f"{like.cosine:.2f} like {ordered[like.place].id}",
            )
            for at, like in alike.items()
        ]
        return Sifted([ordered[at] for at in kept], dropped)
