"""What objectives learn from: documents, pairs of them, and documents that are wanted or not."""

from collections.abc import Mapping
from dataclasses import dataclass

from tutelage.models.template import Encoded
from tutelage.records.base import RowKind
from tutelage.tune.training.batches import unusable


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt; the targets are those of the answers alone. ``margin``: how much better the chosen one
    is at least, in rewards."""

    chosen: Encoded
    rejected: Encoded
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Rated:
    """An answer that is wanted or not; the targets are those of the answer alone, behind all of its prompt."""

    answer: Encoded
    wanted: bool


Row = Encoded | Pair | Rated

KINDS: Mapping[RowKind, type] = {"examples": Encoded, "pairs": Pair, "unpaired": Rated}
"""The type of each kind of rows."""


def documents_of(row: Row) -> Mapping[str, Encoded]:
    """Return the documents of a row by what they are; a single document has no name."""
    match row:
        case Pair():
            return {"chosen": row.chosen, "rejected": row.rejected}
        case Rated():
            return {"": row.answer}
        case Encoded():
            return {"": row}


def why_unusable(row: Row, max_tokens: int) -> str:
    """Return why a row cannot be trained on; empty if it can."""
    for name, document in documents_of(row).items():
        if reason := unusable(document, max_tokens):
            return f"{name}: {reason}" if name else reason
    return ""
