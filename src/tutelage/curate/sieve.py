"""Rows through a list of steps, with book-keeping (the shape is datatrove's: a pipeline of filters with reasons)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tutelage.curate.step import Content, Step
from tutelage.errors import DataError, Problem
from tutelage.events import Emit, progress, silent
from tutelage.recipe.custom import in_words
from tutelage.records import Dropped, Example, Ledger
from tutelage.records.readings import RowScore


@dataclass(frozen=True, slots=True)
class Curated:
    """The rows that were kept, in the order of their ids; every dropped row with its reason; the counts; what steps
    measured of rows."""

    kept: tuple[Example, ...]
    dropped: tuple[Dropped, ...]
    ledger: Ledger
    scores: tuple[RowScore, ...] = ()


def curate(examples: Iterable[Example], steps: Sequence[Step], *, emit: Emit = silent) -> Curated:
    """Send ``examples`` through ``steps`` in turn.

    The result does not depend on the order of the examples, and curating what was kept again drops nothing, unless a
    step keeps a share of what it gets. The ledger counts by ``step: kind of reason``. Raises :class:`DataError` if a
    step loses or invents rows.
    """
    rows = sorted(examples, key=_by_id)
    rows_in = len(rows)
    dropped: list[Dropped] = []
    notes: list[str] = []
    scores: list[RowScore] = []
    for step in progress(emit, steps, label="steps", total=len(steps), unit="steps"):
        with in_words(f"the curation step {step.name}", step):
            sifted = step.apply(rows)
        _refuse_lost_rows(step.name, rows, sifted.kept, sifted.dropped)
        rows = sorted(sifted.kept, key=_by_id)
        dropped += sorted(sifted.dropped, key=lambda row: (row.id, row.reason, row.row))
        notes += [f"{step.name}: {note}" for note in sifted.notes]
        scores += sorted(sifted.scores, key=lambda score: (score.id, score.name, score.value))
    counts = Counter(f"{row.step}: {row.reason.partition(':')[0]}" for row in dropped)
    ledger = Ledger(
        stage="curate", rows_in=rows_in, kept=len(rows), dropped=dict(sorted(counts.items())), notes=tuple(notes)
    )
    return Curated(tuple(rows), tuple(dropped), ledger, tuple(scores))


def _by_id(row: Example) -> tuple[str, Content]:
    return row.id, Content(row)


def _refuse_lost_rows(
    name: str, before: Sequence[Example], kept: Sequence[Example], dropped: Sequence[Dropped]
) -> None:
    given = Counter(row.id for row in before)
    found = Counter(row.id for row in kept) + Counter(row.id for row in dropped)
    wrong = [
        Problem(f"the step {what} the row", row, remedy="return every row once, as kept or as dropped")
        for what, rows in (("loses", given - found), ("invents or repeats", found - given))
        for row in sorted(rows)[:10]
    ]
    if wrong:
        raise DataError(f"curate step {name}", wrong)
