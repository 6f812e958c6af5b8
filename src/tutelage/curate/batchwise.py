"""Steps that see rows a batch at a time: any number of rows fits in memory, and any number of processes shares them.

Such a step is one of two. A :class:`RowWise` one decides about each row by itself. A :class:`WholeSet` one needs to
know of all rows, but of each only a few numbers: a first pass over batches writes them down, and from them it chooses.
Both are pure functions of a batch, so that an engine that spreads batches over machines can map them as they are:
:meth:`RowWise.judge` returns rows, :meth:`WholeSet.summarize` a dictionary of arrays.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tutelage.curate.step import Sifted, by_id, drop, preference
from tutelage.records import Dropped, Example

Columns = dict[str, NDArray[Any]]
"""What is known of rows, by name: arrays with one entry for each row along their first axis. Texts are objects, of
which there should be few different ones: equal ones are held once."""
Tally = Counter[Hashable]
"""Counts that add up over batches."""


class Judged(NamedTuple):
    """What a step kept and dropped of a batch, and what it counted there for its notes."""

    kept: list[Example]
    dropped: list[Dropped]
    tally: Tally


class Gone(NamedTuple):
    """The place of a row that is dropped, and why: the kind, and the detail (see :func:`tutelage.curate.drop`)."""

    place: int
    kind: str
    detail: str = ""


class Choice(NamedTuple):
    """Which rows are dropped, in the order of their places and each once, and what to know about it. ``gone`` is gone
    through once: reasons may be made when they are asked for."""

    gone: Iterable[Gone]
    notes: tuple[str, ...] = ()


class RowWise(ABC):
    """A step that decides about each row by itself. It is sent to other processes: it must be picklable."""

    name: str

    @abstractmethod
    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept and dropped of a batch of rows. How rows are divided into batches decides nothing."""

    def judge_rejected(self, rows: Sequence[Example]) -> Judged:
        """Do the same for rows that end in the rejected answers of pairs (:mod:`tutelage.curate.pairs`).

        They are shown as what not to say, so a measure of how good an answer is keeps them all, which is what is done
        here. What looks for words that must not be learned or written down judges them as any others.
        """
        return Judged(list(rows), [], Tally())

    def notes(self, tally: Tally) -> tuple[str, ...]:
        """Return what to know, from the counts of all batches."""
        return ()

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped of all rows at once."""
        judged = self.judge(rows)
        return Sifted(judged.kept, judged.dropped, self.notes(judged.tally))


class WholeSet(ABC):
    """A step that chooses among rows by a few numbers of each. It is sent to other processes: it must be picklable."""

    name: str

    @abstractmethod
    def summarize(self, rows: Sequence[Example]) -> Columns:
        """Return what the choice needs to know of a batch of rows. How rows are divided into batches decides
        nothing; of no rows the arrays have no entries."""

    @abstractmethod
    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        """Return which rows are dropped.

        ``columns`` are those of all rows, in the order of their ids and of their contents where ids are equal: the
        place of a row stands for both. ``rows`` reads a row from the disk: ask for few of them, and hold none.
        """

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped of all rows at once."""
        ordered = sorted(rows, key=by_id)
        choice = self.choose(self.summarize(ordered), ordered)
        gone = {one.place: drop(ordered[one.place], self.name, one.kind, one.detail) for one in choice.gone}
        kept = [row for place, row in enumerate(ordered) if place not in gone]
        return Sifted(kept, list(gone.values()), choice.notes)


def standings(rows: Sequence[Example]) -> NDArray[np.int64]:
    """Return :func:`tutelage.curate.step.preference` of rows as numbers: the less, the more a row is preferred. Of
    equal ones the row at the smaller place is, so sort them stably."""
    found = np.empty(len(rows), np.int64)
    for place, row in enumerate(rows):
        unverified, paradigm, length, *_ = preference(row)
        found[place] = (unverified << 40) + (paradigm << 36) + min(length, 2**36 - 1)
    return found


def texts(values: Iterable[str]) -> NDArray[np.object_]:
    """Return a column of texts."""
    held = list(values)
    found = np.empty(len(held), dtype=object)
    found[:] = held
    return found
