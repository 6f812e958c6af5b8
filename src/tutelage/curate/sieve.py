"""Rows through a list of steps, with book-keeping (the shape is datatrove's: a pipeline of filters with reasons)."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from joblib import cpu_count

from tutelage.curate.batchwise import RowWise
from tutelage.curate.entries import ENTRIES, Entry
from tutelage.curate.losses import Limits, refuse_losses
from tutelage.curate.passage import Passage
from tutelage.curate.piles import Pile
from tutelage.curate.shelf import Shelf
from tutelage.curate.step import Masking, Step
from tutelage.curate.workers import Workers
from tutelage.events import Emit, progress, silent
from tutelage.records import Dropped, Example, Ledger
from tutelage.records.readings import RowScore

WORTH_WORKERS = 20_000
"""Rows from which on further processes are started."""


@dataclass(frozen=True, slots=True)
class Curated:
    """The rows that were kept, in the order of their ids; every dropped row with its reason; the counts; what steps
    measured of rows."""

    kept: tuple[Example, ...]
    dropped: tuple[Dropped, ...]
    ledger: Ledger
    scores: tuple[RowScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Sieved:
    """The same on a shelf."""

    kept: Pile[Entry]
    dropped: Pile[Dropped]
    ledger: Ledger
    scores: tuple[RowScore, ...] = ()


def curate(
    examples: Iterable[Example],
    steps: Sequence[Step],
    *,
    limits: Limits | None = None,
    workers: int | None = None,
    emit: Emit = silent,
) -> Curated:
    """Send ``examples`` through ``steps`` in turn, in memory.

    The result does not depend on the order of the examples. Curating what was kept again drops and changes nothing, if
    steps that change rows come before those that judge the text, and no step keeps a share of what it gets.
    The ledger counts by ``step: kind of reason`` and by ``step: what`` was changed. ``workers`` processes share the
    rows (None: one for each core, where there are enough rows to pay); their number decides nothing else.

    Raises
    ------
    DataError: a step loses or invents rows, or changes one without saying so in its lineage; or more rows are dropped
    than ``limits`` allow.
    """
    found = sieve(examples, steps, Shelf(), limits=limits, workers=workers, emit=emit)
    return Curated(tuple(entry.row for entry in found.kept), tuple(found.dropped), found.ledger, found.scores)


def sieve(
    examples: Iterable[Example],
    steps: Sequence[Step],
    shelf: Shelf,
    *,
    limits: Limits | None = None,
    workers: int | None = None,
    emit: Emit = silent,
) -> Sieved:
    """Do what :func:`curate` does, with the rows on ``shelf``: on one in a folder memory holds a batch of rows for each
    process and what steps remember of each row.

    A step that is neither row-wise nor chooses by columns (:mod:`tutelage.curate.batchwise`) gets all rows at once; an
    event says so.
    """
    rows = shelf.pile(ENTRIES).fill(shelf.sorted((Entry(row, len(row.lineage.changes)) for row in examples), ENTRIES))
    rows_in = len(rows)
    masks = [step for step in steps if isinstance(step, Masking)]
    chains = deque(_chains(steps))
    count = workers or (cpu_count() if rows_in >= WORTH_WORKERS else 1)
    with Workers(count, shelf.folder) as staff:
        passage = Passage(shelf, staff, emit)
        for step in progress(emit, steps, label="steps", total=len(steps), unit="steps"):
            if chains and chains[0][0] is step:
                rows = passage.through(rows, chains.popleft())
        if limits is not None:
            refuse_losses(passage.losses(masks), limits)
        dropped, counts = passage.all_dropped(masks)
    ledger = Ledger(
        stage="curate",
        rows_in=rows_in,
        kept=len(rows),
        dropped=dict(sorted(counts.items())),
        changed=dict(sorted(Counter(what for entry in rows for what in dict.fromkeys(entry.changes())).items())),
        notes=tuple(passage.notes),
    )
    return Sieved(rows, dropped, ledger, tuple(passage.scores))


def _chains(steps: Sequence[Step]) -> list[list[Step]]:
    """Steps in runs that go over the rows together: those that decide about each row by itself."""
    chains: list[list[Step]] = []
    for is_row_wise, run in groupby(steps, key=lambda step: isinstance(step, RowWise)):
        found = list(run)
        chains += [found] if is_row_wise else [[step] for step in found]
    return chains
