"""What objectives learn from: documents, pairs of them, documents that are wanted or not, and prompts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tutelage.models.template import Encoded
from tutelage.recipe.tune import TuneSection
from tutelage.records import Item
from tutelage.records.base import RowKind
from tutelage.tune.training.batches import unusable


@dataclass(frozen=True, slots=True)
class Told(Encoded):
    """A document with what a teacher held likely at each of its targets, in their order: ``likely`` tokens int32 (n, k)
    and their ``logprobs`` float32 (n, k), −∞ where a place has fewer. All other tokens share what is left."""

    likely: NDArray[np.int32]
    logprobs: NDArray[np.float32]


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


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that the model is to answer, without targets, and the item whose check scores the answers."""

    prompt: Encoded
    item: Item


Row = Encoded | Pair | Rated | Asked

KINDS: Mapping[RowKind, type] = {"examples": Encoded, "pairs": Pair, "unpaired": Rated, "prompts": Asked}
"""The type of each kind of rows."""


def documents_of(row: Row) -> Mapping[str, Encoded]:
    """Return the documents of a row by what they are; a single document has no name."""
    match row:
        case Pair():
            return {"chosen": row.chosen, "rejected": row.rejected}
        case Rated():
            return {"": row.answer}
        case Asked():
            return {"": row.prompt}
        case Encoded():
            return {"": row}


def why_unusable(row: Row, section: TuneSection, context: int | None = None) -> str:
    """Return why a row cannot be trained on, by a model of ``context`` tokens if that is known; empty if it can."""
    if isinstance(row, Asked):
        answer = section.max_tokens - section.row_tokens
        left = min(section.row_tokens, section.max_tokens if context is None else context - answer)
        longer = len(row.prompt) > left
        return f"a prompt of {len(row.prompt)} tokens; the longest answer leaves {left}" if longer else ""
    for name, document in documents_of(row).items():
        if reason := unusable(document, section.max_tokens, context):
            return f"{name}: {reason}" if name else reason
    return ""
