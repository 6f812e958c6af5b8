"""The way of rows through steps: in batches where a step allows it, and what was dropped, noted and measured."""

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np

from tutelage.curate.batches import batches, judge, mask, summarize, traced
from tutelage.curate.batchwise import Columns, Gone, RowWise, Tally, WholeSet
from tutelage.curate.entries import DROPPED, ENTRIES, Entry
from tutelage.curate.losses import EXAMPLES, Passed
from tutelage.curate.piles import Pile
from tutelage.curate.shelf import Shelf
from tutelage.curate.step import Masking, Step, drop
from tutelage.curate.workers import Workers
from tutelage.errors import DataError, Problem
from tutelage.events import Emit, Event, say
from tutelage.recipe.custom import in_words
from tutelage.records import Dropped, Example
from tutelage.records.readings import RowScore

R = TypeVar("R")
S = TypeVar("S")


@dataclass(slots=True)
class _Lost:
    """What a step dropped of how many rows, in the order of ids."""

    step: str
    dropped: Pile[Dropped]
    rows: int = 0
    tally: Tally = field(default_factory=Counter)


class _Rows(Sequence[Example]):
    """The rows of a pile, read when they are asked for."""

    def __init__(self, pile: Pile[Entry]) -> None:
        self._pile = pile

    def __len__(self) -> int:
        return len(self._pile)

    def __getitem__(self, place: int) -> Example:  # type: ignore[override]  # a slice would be held
        return self._pile[place].row


class Passage:
    """Rows on a shelf and the steps that they pass; ``workers`` share what can be shared."""

    def __init__(self, shelf: Shelf, workers: Workers, emit: Emit) -> None:
        self.shelf = shelf
        self.workers = workers
        self.emit = emit
        self.notes: list[str] = []
        self.scores: list[RowScore] = []
        self._lost: list[_Lost] = []

    def through(self, rows: Pile[Entry], chain: Sequence[Step]) -> Pile[Entry]:
        """Return what ``chain`` keeps of ``rows``: row-wise steps, which go over the rows together, or any other one.

        Raises
        ------
        DataError: a step loses or invents rows, or changes one without saying so. TutelageError: what its own code
        raises, in words.
        """
        step, *_ = chain
        match step:
            case RowWise():
                return self._judged(rows, [one for one in chain if isinstance(one, RowWise)])
            case WholeSet():
                return self._chosen(rows, step)
            case _:
                return self._applied(rows, step)

    def losses(self, masks: Sequence[Masking]) -> list[Passed]:
        """Return how many rows each step dropped, with some of them as they may be told."""
        return [
            Passed(one.step, one.rows, len(one.dropped), mask(masks, list(islice(self._settled(one), EXAMPLES))))
            for one in self._lost
        ]

    def all_dropped(self, masks: Sequence[Masking]) -> tuple[Pile[Dropped], Counter[str]]:
        """Return what was dropped, step by step, without what a step masks (most of it never reached that step), and
        how much of it for which reason."""
        found = self.shelf.pile(DROPPED)
        counts: Counter[str] = Counter()
        masking = self.workers.mapped(mask, masks, self._all_settled()) if masks else self._all_settled()
        for masked in masking:
            found.fill(masked)
            counts.update(f"{row.step}: {row.reason.partition(':')[0]}" for row in masked)
        return found, counts

    def _all_settled(self) -> Iterator[list[Dropped]]:
        for one in self._lost:
            yield from batches(self._settled(one), DROPPED)
            one.dropped.clear()

    def _settled(self, lost: _Lost) -> Iterator[Dropped]:
        return self.shelf.settled(lost.dropped, DROPPED)

    def _judged(self, rows: Pile[Entry], steps: Sequence[RowWise]) -> Pile[Entry]:
        lost = [self._losing(step.name) for step in steps]
        places, changed = array("q"), _Changed(self.shelf)
        start = 0
        for size, found in self._over(rows, judge, steps, ", ".join(step.name for step in steps)):
            places.extend(start + place for place in found.places)
            for place, entry in found.changed:
                changed.add(start + place, entry)
            for one, passed in zip(lost, found.passed, strict=True):
                one.rows += passed.rows
                one.dropped.fill(passed.dropped)
                one.tally.update(passed.tally)
            start += size
        for step, one in zip(steps, lost, strict=True):
            with in_words(f"the curation step {step.name}", step):
                self._note(step.name, step.notes(one.tally))
        return changed.put_into(rows, places)

    def _chosen(self, rows: Pile[Entry], step: WholeSet) -> Pile[Entry]:
        lost = self._losing(step.name, len(rows))
        with in_words(f"the curation step {step.name}", step):
            columns = _gathered(step.name, self._over(rows, summarize, step, step.name), len(rows))
            columns = columns or step.summarize([])
            choice = step.choose(columns, _Rows(rows))
            kept = np.ones(len(rows), dtype=bool)
            last = -1
            for gone in choice.gone:
                _refuse_disorder(step.name, gone, last, len(rows))
                last = gone.place
                kept[last] = False
                lost.dropped.add(drop(rows[last].row, step.name, gone.kind, gone.detail))
        self._note(step.name, choice.notes)
        return rows.only(np.flatnonzero(kept))

    def _applied(self, rows: Pile[Entry], step: Step) -> Pile[Entry]:
        lost = self._losing(step.name, len(rows))
        if self.shelf.folder is not None:
            say([f"{step.name} looks at all rows at once: {len(rows):,} rows are held in memory for it"], self.emit)
        before = [entry.row for entry in rows]
        with in_words(f"the curation step {step.name}", step):
            sifted = step.apply(before)
        lost.dropped.fill(sorted(sifted.dropped, key=DROPPED.key))
        places, changed = array("q"), _Changed(self.shelf)
        for place, row in traced(step.name, before, sifted.kept, sifted.dropped):
            places.append(place)
            if row is not before[place]:
                changed.add(place, Entry(row, rows[place].came))
        self._note(step.name, sifted.notes)
        self.scores += sorted(sifted.scores, key=lambda score: (score.id, score.name, score.value))
        return changed.put_into(rows, places)

    def _over(
        self, rows: Pile[Entry], function: Callable[[S, list[Entry]], R], shared: S, label: str
    ) -> Iterator[tuple[int, R]]:
        """Yield the size of each batch of ``rows`` and what ``function`` makes of it; tell how far it is."""
        sizes: deque[int] = deque()

        def drawn() -> Iterator[list[Entry]]:
            for batch in batches(rows, ENTRIES):
                sizes.append(len(batch))
                yield batch

        done = 0
        for found in self.workers.mapped(function, shared, drawn()):
            size = sizes.popleft()
            done += size
            yield size, found
            if size < len(rows):
                self.emit(Event("progress", data={"label": label, "done": done, "total": len(rows), "unit": "rows"}))

    def _losing(self, step: str, rows: int = 0) -> _Lost:
        self._lost.append(_Lost(step, self.shelf.pile(DROPPED), rows))
        return self._lost[-1]

    def _note(self, step: str, notes: Sequence[str]) -> None:
        self.notes += [f"{step}: {note}" for note in notes]


class _Changed:
    """Rows that steps changed, and their places, which rise."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._places = array("q")
        self._entries = shelf.pile(ENTRIES)

    def add(self, place: int, entry: Entry) -> None:
        self._places.append(place)
        self._entries.add(entry)

    def put_into(self, rows: Pile[Entry], places: Sequence[int]) -> Pile[Entry]:
        """Return those of ``rows`` at ``places``, the changed ones as they are now."""
        kept = rows.only(np.array(places, dtype=np.intp))
        if not len(self._places):
            return kept
        now = self._now(zip(places, kept, strict=True))
        found = self._shelf.pile(ENTRIES).fill(self._shelf.settled(now, ENTRIES))
        kept.clear()
        self._entries.clear()
        return found

    def _now(self, kept: Iterable[tuple[int, Entry]]) -> Iterator[Entry]:
        new = zip(self._places, self._entries, strict=True)
        changed, entry = next(new)
        for place, before in kept:
            if place != changed:
                yield before
                continue
            yield entry
            changed, entry = next(new, (-1, entry))


def _gathered(step: str, parts: Iterator[tuple[int, Columns]], count: int) -> Columns:
    """The columns of all batches (with their sizes) as one, in arrays that are made once, or again for a batch that
    needs wider numbers; equal texts are one object."""
    found: Columns = {}
    known: dict[str, str] = {}
    start = 0
    for size, part in parts:
        if start == 0:
            found = {name: np.empty((count, *values.shape[1:]), values.dtype) for name, values in part.items()}
        _refuse_other_columns(step, found, part, size)
        for name, values in part.items():
            if values.dtype != found[name].dtype:
                found[name] = found[name].astype(np.result_type(found[name], values))
            if values.dtype == object:
                values[:] = [known.setdefault(value, value) for value in values]
            found[name][start : start + len(values)] = values
        start += size
    return found


def _refuse_other_columns(step: str, found: Columns, part: Columns, size: int) -> None:
    remedy = "return the same columns for every batch, as arrays with one entry for each row"
    wrong = [
        Problem("the step summarizes a batch by other columns than the first one", name, remedy=remedy)
        for name in sorted(found.keys() ^ part.keys())
    ]
    wrong += [
        Problem("the step does not summarize each row", name, f"shape {values.shape} for {size} rows", remedy)
        for name, values in part.items()
        if name in found and values.shape != (size, *found[name].shape[1:])
    ]
    if wrong:
        raise DataError(f"curate step {step}", wrong)


def _refuse_disorder(step: str, gone: Gone, last: int, count: int) -> None:
    if not last < gone.place < count:
        what = "the step drops a row that is not there, twice, or out of order"
        remedy = f"name places from 0 to {count - 1} in their order, each once"
        raise DataError(f"curate step {step}", [Problem(what, f"place {gone.place}", f"after {last}", remedy)])
