"""Rows through a list of steps, with book-keeping (the shape is datatrove's: a pipeline of filters with reasons)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tutelage.curate.losses import Limits, Passed, refuse_losses
from tutelage.curate.step import Content, Masking, Step, is_change
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


def curate(
    examples: Iterable[Example], steps: Sequence[Step], *, limits: Limits | None = None, emit: Emit = silent
) -> Curated:
    """Send ``examples`` through ``steps`` in turn.

    The result does not depend on the order of the examples. Curating what was kept again drops and changes nothing, if
    steps that change rows come before those that judge the text, and no step keeps a share of what it gets.
    The ledger counts by ``step: kind of reason`` and by ``step: what`` was changed.

    Raises
    ------
    DataError: a step loses or invents rows, or changes one without saying so in its lineage; or more rows are dropped
    than ``limits`` allow.
    """
    rows = sorted(examples, key=_by_id)
    rows_in = len(rows)
    came = {row.id: len(row.lineage.changes) for row in rows}
    passed: list[Passed] = []
    notes: list[str] = []
    scores: list[RowScore] = []
    for step in progress(emit, steps, label="steps", total=len(steps), unit="steps"):
        with in_words(f"the curation step {step.name}", step):
            sifted = step.apply(rows)
        _refuse_lost_rows(step.name, rows, sifted.kept, sifted.dropped)
        _refuse_silent_changes(step.name, rows, sifted.kept)
        gone = sorted(sifted.dropped, key=lambda row: (row.id, row.reason, row.row))
        passed.append(Passed(step.name, len(rows), gone))
        rows = sorted(sifted.kept, key=_by_id)
        notes += [f"{step.name}: {note}" for note in sifted.notes]
        scores += sorted(sifted.scores, key=lambda score: (score.id, score.name, score.value))
    passed = [replace(one, dropped=_masked(one.dropped, steps)) for one in passed]
    dropped = [row for one in passed for row in one.dropped]
    if limits is not None:
        refuse_losses(passed, limits)
    counts = Counter(f"{row.step}: {row.reason.partition(':')[0]}" for row in dropped)
    changed = Counter(what for row in rows for what in dict.fromkeys(row.lineage.changes[came[row.id] :]))
    ledger = Ledger(
        stage="curate",
        rows_in=rows_in,
        kept=len(rows),
        dropped=dict(sorted(counts.items())),
        changed=dict(sorted(changed.items())),
        notes=tuple(notes),
    )
    return Curated(tuple(rows), tuple(dropped), ledger, tuple(scores))


def _masked(dropped: Iterable[Dropped], steps: Sequence[Step]) -> list[Dropped]:
    """Dropped rows without what a step masks: most are dropped before it sees them."""
    rows = list(dropped)
    for step in steps:
        if isinstance(step, Masking):
            rows = [step.mask_dropped(row) for row in rows]
    return rows


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


def _refuse_silent_changes(name: str, before: Sequence[Example], kept: Sequence[Example]) -> None:
    same = {id(row) for row in before}
    given: defaultdict[str, list[Example]] = defaultdict(list)
    for row in before:
        given[row.id].append(row)
    wrong = [
        Problem("the step changes the row and does not say so", row.id, remedy="change it with tutelage.curate.change")
        for row in kept
        if id(row) not in same and not any(row == one or is_change(one, row, name) for one in given[row.id])
    ]
    if wrong:
        raise DataError(f"curate step {name}", wrong[:10])
