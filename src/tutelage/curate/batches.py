"""What is done to one batch of rows, in whichever process: pure functions of the batch."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tutelage.curate.batchwise import Columns, RowWise, Tally, WholeSet
from tutelage.curate.entries import DROPPED, Entry
from tutelage.curate.piles import Codec
from tutelage.curate.step import Masking, is_change
from tutelage.errors import DataError, Problem
from tutelage.recipe.custom import in_words
from tutelage.records import Dropped, Example

T = TypeVar("T")
BATCH_ROWS = 1024
BATCH_BYTES = 8 * 2**20
"""A batch ends with the row that reaches one of the two."""


def batches(things: Iterable[T], codec: Codec[T]) -> Iterator[list[T]]:
    """Yield ``things`` in their order, some at a time."""
    batch: list[T] = []
    size = 0
    for thing in things:
        batch.append(thing)
        size += codec.size(thing)
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class Passed:
    """What a step made of a batch: how many rows it got, what it dropped, what it counted."""

    rows: int
    dropped: list[Dropped]
    tally: Tally


@dataclass(frozen=True, slots=True)
class Judgment:
    """The places in a batch of the rows that all steps kept, those of them that were changed, and each step's part."""

    places: list[int]
    changed: list[tuple[int, Entry]]
    passed: list[Passed]


def judge(steps: Sequence[RowWise], batch: Sequence[Entry]) -> Judgment:
    """Send a batch through ``steps``. Raises what :func:`traced` and a step's own code raise."""
    entries = dict(enumerate(batch))
    passed = []
    for step in steps:
        places, rows = list(entries), [entry.row for entry in entries.values()]
        with in_words(f"the curation step {step.name}", step):
            judged = step.judge(rows)
        dropped = sorted(judged.dropped, key=DROPPED.key)  # in whichever order the step found them
        passed.append(Passed(len(rows), dropped, judged.tally))
        kept = traced(step.name, rows, judged.kept, judged.dropped)
        found: dict[int, Entry] = {}
        for at, row in kept:
            entry = entries[places[at]]
            found[places[at]] = entry if row is rows[at] else Entry(row, entry.came)
        entries = found
    changed = [(place, entry) for place, entry in entries.items() if entry is not batch[place]]
    return Judgment(list(entries), changed, passed)


def summarize(step: WholeSet, batch: Sequence[Entry]) -> Columns:
    """Return what ``step`` needs to know of a batch. Raises what its own code raises, in words."""
    with in_words(f"the curation step {step.name}", step):
        return step.summarize([entry.row for entry in batch])


def mask(masks: Sequence[Masking], dropped: list[Dropped]) -> list[Dropped]:
    """Return dropped rows without what a step masks."""
    for step in masks:
        dropped = [step.mask_dropped(row) for row in dropped]
    return dropped


def traced(
    step: str, before: Sequence[Example], kept: Sequence[Example], dropped: Sequence[Dropped]
) -> list[tuple[int, Example]]:
    """Return the rows that a step kept with their places in ``before``, in the order of these.

    Raises
    ------
    DataError: the step loses or invents rows, or changes one without saying so in its lineage.
    """
    _refuse_lost_rows(step, before, kept, dropped)
    same: defaultdict[int, list[int]] = defaultdict(list)
    for place in reversed(range(len(before))):
        same[id(before[place])].append(place)
    found: list[tuple[int, Example]] = []
    others: list[Example] = []
    for row in kept:
        if places := same[id(row)]:
            found.append((places.pop(), row))
        else:
            others.append(row)
    given: defaultdict[str, list[int]] = defaultdict(list)
    if others:
        for place in sorted(place for places in same.values() for place in places):
            given[before[place].id].append(place)
    wrong = []
    for row in others:
        at = next((one for one in given[row.id] if _may_become(before[one], row, step)), None)
        if at is None:
            remedy = "change it with tutelage.curate.change"
            wrong.append(Problem("the step changes the row and does not say so", row.id, remedy=remedy))
        else:
            given[row.id].remove(at)
            found.append((at, row))
    if wrong:
        raise DataError(f"curate step {step}", wrong[:10])
    return sorted(found, key=lambda pair: pair[0])


def _may_become(before: Example, after: Example, step: str) -> bool:
    return before == after or is_change(before, after, step)


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
