"""Rows on their way into training: ids and loss masks, and a ledger of those that get none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tutelage.errors import TemplateError
from tutelage.files import write_atomic
from tutelage.models.template import ChatTemplate, Encoded
from tutelage.recipe.tune import TuneSection
from tutelage.records import Dropped, Example, Item, Ledger, Preference, UnpairedPreference
from tutelage.records.jsonl import write_records
from tutelage.tune.rows import Asked, Pair, Rated, Row, why_unusable

TrainingRow = Example | Preference | UnpairedPreference | Item

MAX_DROPPED = 0.5
"""Share of the rows from which on dropping is refused: a model of the few that are left is not what was asked for."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Rows as ids and masks: ``places[i]`` is the row of ``encoded[i]``; ``refused`` says why a row has none."""

    encoded: list[Row]
    places: list[int]
    refused: dict[int, str]


def encode_all(template: ChatTemplate, rows: Sequence[TrainingRow]) -> Encoding:
    """Encode every row that ``template`` gives an exact loss mask. Raises :class:`TemplateError` if it gives none."""
    found = Encoding([], [], {})
    first: TemplateError | None = None
    for place, row in enumerate(rows):
        try:
            found.encoded.append(_encode(template, row))
            found.places.append(place)
        except TemplateError as error:
            first = first or error
            found.refused[place] = f"no exact loss mask: {error.problem}"
    if first is not None and not found.encoded:
        raise first
    return found


def _encode(template: ChatTemplate, row: TrainingRow) -> Row:
    match row:
        case Example():
            return template.encode(row.messages)
        case Preference():
            chosen, rejected = (
                template.encode((*row.prompt, answer), last=True) for answer in (row.chosen, row.rejected)
            )
            return Pair(chosen, rejected, row.margin)
        case UnpairedPreference():
            return Rated(template.encode((*row.prompt, row.answer), last=True), row.wanted)
        case Item():
            ids = np.asarray(template.encode_prompt(row.messages), dtype=np.int32)
            return Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), row)


def sort_out(
    rows: Sequence[TrainingRow],
    encoding: Encoding,
    section: TuneSection,
    *,
    context: int | None,
    notes: tuple[str, ...] = (),
) -> tuple[Ledger, list[Dropped]]:
    """Return the ledger of a training of a model of ``context`` tokens (None: unknown), with ``notes``, and the rows
    that it drops."""
    reasons = dict(encoding.refused)
    for place, row in zip(encoding.places, encoding.encoded, strict=True):
        if reason := why_unusable(row, section, context):
            reasons[place] = f"unusable for training: {reason}"
    gone = [
        Dropped(id=rows[at].id, step="tune", reason=reason, row=rows[at].to_json())
        for at, reason in sorted(reasons.items())
    ]
    counts = Counter(row.reason.partition(":")[0] for row in gone)
    kept = len(rows) - len(gone)
    return Ledger(stage="tune", rows_in=len(rows), kept=kept, dropped=dict(sorted(counts.items())), notes=notes), gone


def too_few(ledger: Ledger) -> bool:
    """Whether so many rows were dropped that training on the others is refused."""
    return ledger.rows_in - ledger.kept > MAX_DROPPED * ledger.rows_in


def keep_ledger(folder: Path, ledger: Ledger, dropped: Sequence[Dropped]) -> None:
    """Write ``dropped.jsonl`` and ``ledger.json``."""
    write_records(folder / "dropped.jsonl", dropped)
    write_atomic(folder / "ledger.json", ledger.model_dump_json(indent=1) + "\n")
