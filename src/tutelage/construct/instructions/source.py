"""A round's rows from instructions to order: ordered, written, read blind, answered, gone on with, ordered again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tutelage.construct.instructions.answers import Chat, answer_each
from tutelage.construct.instructions.assessing import assess
from tutelage.construct.instructions.desk import Desk
from tutelage.construct.instructions.listing import personas_of, topics_of
from tutelage.construct.instructions.orders import Cell, Stock, Wanted, make_orders, wanted_of
from tutelage.construct.instructions.personas import write_personas
from tutelage.construct.instructions.requests import write_requests
from tutelage.construct.instructions.rows import row_of
from tutelage.construct.instructions.turns import go_on
from tutelage.construct.ledgers import ledger_of, ledger_words
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.errors import DataError, Problem
from tutelage.events import say
from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.records import Demonstration, Dropped, Example, Ledger
from tutelage.records.instructions import Order
from tutelage.records.jsonl import write_records
from tutelage.records.judging import Judging
from tutelage.records.lineage import total
from tutelage.text.rouge import Nearest


@dataclass(slots=True)
class Book:
    """All that a round ordered and what became of it; ``kept`` counts by step, ``absent`` never came."""

    orders: list[Order] = field(default_factory=list)
    rows: list[Example] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    absent: int = 0
    follow_ups: list[Ledger] = field(default_factory=list)

    def missing(self, wanted: Mapping[Cell, int]) -> dict[Cell, int]:
        """Return the cells that came out short, each with how many it lacks."""
        there = Counter((row.dimension, row.level) for row in self.rows)
        return {cell: number - there[cell] for cell, number in wanted.items() if there[cell] < number}

    def ledger(self, step: str, notes: Sequence[str] = ()) -> Ledger:
        """Return the counts of a step over all passes."""
        return ledger_of(step, self.kept[step], [row for row in self.dropped if row.step == step], notes)


def check_source(section: InstructionsSource, base: Path, dimensions: Sequence[str]) -> None:
    """Raise :class:`DataError` where a file cannot be read, or nothing can be ordered for tasks of ``dimensions``."""
    topics_of(section, base)
    personas_of(section, base)
    _require_cells(wanted_of(section, {}, dimensions), dimensions)


def instruction_rows(
    section: InstructionsSource,
    sampler: Sampler,
    *,
    teacher: Asker,
    judge: Asker | None,
    plan: Mapping[Cell, int],
    demonstrations: Sequence[Demonstration],
    base: Path,
) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``orders.jsonl`` is what was ordered; ``personas.jsonl``, ``requests.jsonl``, ``assessments.jsonl``,
    ``answers.jsonl`` and ``turns-2.jsonl``, … every reply, with ``pass-2-`` before the name of what was ordered again;
    ``dropped.jsonl`` all that gave nothing, with its reason, ``ledger.jsonl`` the counts. ``plan`` is the round's, in
    prompts a cell; ``base`` what paths are relative to. What it took is put on ``sampler.meters``.

    Raises what :func:`check_source` and :meth:`Desk.ask` raise.
    """
    dimensions = [task.dimension for task in sampler.tasks.values()]
    wanted = wanted_of(section, plan, dimensions)
    _require_cells(wanted, dimensions)
    desk = Desk(section, sampler, teacher, None if section.assessor == "teacher" else judge)
    book = Book()
    topics, personas, ledgers = topics_of(section, base), personas_of(section, base), list[Ledger]()
    if isinstance(section.personas, int):
        written, unfit, counts = write_personas(desk, section.personas, topics)
        personas, book.dropped, ledgers = tuple(written), list(unfit), [counts]
    stock = Stock(topics, personas, demonstrations)
    before = Nearest(section.novelty)
    for number in range(1, section.passes + 2):
        missing = book.missing(wanted.cells)
        if not missing:
            break
        begin = (sampler.round - 1) * section.rows + len(book.orders)
        orders = make_orders(missing, section, stock, seed=sampler.seed, begin=begin, round=sampler.round)
        _one_pass(desk, "" if number == 1 else f"pass-{number}-", orders, demonstrations, before=before, book=book)
    ledgers += [book.ledger("requests"), book.ledger("assessment"), book.ledger("answers", _unjudged(book.rows))]
    ledgers += [_added(book.follow_ups)] if book.follow_ups else []
    ledgers.append(_ordered(wanted, book))
    write_records(desk.folder / "orders.jsonl", book.orders)
    write_records(desk.folder / "dropped.jsonl", book.dropped)
    write_records(desk.folder / "ledger.jsonl", ledgers)
    _count(desk, book)
    say([f"{section.folder}, {ledger_words(ledger)}" for ledger in ledgers], sampler.emit)
    return book.rows


def _one_pass(
    desk: Desk,
    label: str,
    orders: Sequence[Order],
    demonstrations: Sequence[Demonstration],
    *,
    before: Nearest,
    book: Book,
) -> None:
    """Have ``orders`` written, read, answered and gone on with, and enter all of it in ``book``."""
    asked, unwritten, absent = write_requests(desk, f"{label}requests", orders, demonstrations, before=before)
    read, unfit = assess(desk, f"{label}assessments", asked)
    chats, unanswered = answer_each(desk, f"{label}answers", [Chat.begin(one) for one in read])
    whole, ended, counts = go_on(desk, label, chats)
    book.orders += orders
    book.rows += [row_of(chat, desk) for chat in whole]
    book.dropped += [*unwritten, *unfit, *unanswered, *ended]
    book.kept += Counter(requests=len(asked), assessment=len(read), answers=len(chats))
    book.absent += len(absent)
    book.follow_ups += [counts] if counts is not None else []


def _require_cells(wanted: Wanted, dimensions: Sequence[str]) -> None:
    if wanted.cells:
        return
    what = "there is no cell to order for"
    received = f"tasks of {', '.join(dict.fromkeys(dimensions)) or 'no dimension'}"
    remedy = "name cells, or say under dimensions what requests of these are"
    raise DataError("construct.sources", [Problem(what, "cells", received, remedy)])


def _unjudged(rows: Sequence[Example]) -> list[str]:
    """A note of the rows of which nobody has judged what they say: form and order alone were checked."""
    number = sum(row.lineage.verdicts[-1].score is None for row in rows)
    return [f"of {number:,} rows nobody has judged what the answer says (construct.judge)"] if number else []


def _added(ledgers: Sequence[Ledger]) -> Ledger:
    reasons = sum((Counter(ledger.dropped) for ledger in ledgers), Counter[str]())
    return Ledger(
        stage=ledgers[0].stage,
        rows_in=sum(ledger.rows_in for ledger in ledgers),
        kept=sum(ledger.kept for ledger in ledgers),
        dropped=dict(sorted(reasons.items())),
    )


def _ordered(wanted: Wanted, book: Book) -> Ledger:
    """What was wanted, cell by cell: how many of them there are, and where they are short."""
    missing = book.missing(wanted.cells)
    whole, short = sum(wanted.cells.values()), sum(missing.values())
    beside = len(book.rows) - (whole - short)
    notes = [*wanted.notes, f"{len(book.orders):,} orders were given"]
    notes += [f"{beside:,} more rows are of cells for which they were not ordered"] if beside else []
    return Ledger(
        stage="cells",
        rows_in=whole,
        kept=whole - short,
        dropped={f"short in {dimension}, {level}": number for (dimension, level), number in missing.items()},
        notes=tuple(notes),
    )


def _count(desk: Desk, book: Book) -> None:
    """Put what was asked on the meter of distillation: an order is an attempt, a row one that passed."""
    meter = desk.sampler.meters.setdefault("distill", Meter())
    meter.answers += len(book.orders) - book.absent
    meter.passed += len(book.rows)
    meter.errors += book.absent
    meter.seconds += desk.seconds()
    meter.tokens = total([meter.tokens, desk.tokens()])
    if desk.judging != Judging():
        meter.judging = (meter.judging or Judging()).plus(desk.judging)
