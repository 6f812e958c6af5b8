"""A round's rows from Evol-Instruct (Xu et al. 2023, WizardLM): evolved, compared, answered, or tried again.

What is eliminated leaves its line as it was, so that the next generation tries it again with another operation.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tutelage.construct.desk import Desk
from tutelage.construct.instructions.answers import STEP, Chat, answer_each
from tutelage.construct.ledgers import ledger_of, ledger_words
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.elimination import spoils
from tutelage.construct.self_improve.evolving import COMPARED, EVOLVED, Line, Step, compare, evolve, prompt_of
from tutelage.construct.self_improve.seeds import PARADIGM, drawn_seeds, seeds_of
from tutelage.events import say
from tutelage.recipe.sources import EvolveSource
from tutelage.records import Cost, Demonstration, Dropped, Example, Ledger, Lineage, content_id
from tutelage.records.jsonl import write_records

SOURCE = "evolve"


@dataclass(slots=True)
class _Book:
    """What became of all generations: rows, what was dropped, what each step kept, replies that never came."""

    rows: list[Example] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    generations: list[Ledger] = field(default_factory=list)
    absent: int = 0

    def ledgers(self) -> list[Ledger]:
        """The counts of each step over all generations, then of each generation over all steps."""
        nobody = sum(row.lineage.verdicts[-1].score is None for row in self.rows)
        notes = [f"of {nobody:,} rows nobody has judged what the answer says (construct.judge)"] if nobody else []
        steps = [
            ledger_of(step, self.kept[step], [row for row in self.dropped if row.step == step], said)
            for step, said in ((EVOLVED, ()), (COMPARED, ()), (STEP, notes))
        ]
        return [*steps, *self.generations]


def evolve_rows(
    section: EvolveSource, sampler: Sampler, *, writer: Asker, demonstrations: Sequence[Demonstration], base: Path
) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``seeds.jsonl`` is what it began with; of each generation ``evolved-1.jsonl``, ``compared-1.jsonl``,
    ``answers-1.jsonl``, … every reply; ``dropped.jsonl`` what was eliminated, with its reason, ``ledger.jsonl`` the
    counts. What it took is put on ``sampler.meters``.

    Raises what :func:`seeds_of`, :meth:`Desk.ask` and :func:`answer_each` raise.
    """
    there = seeds_of(section, demonstrations, base)
    seeds = drawn_seeds(there, section.instructions, section.folder, "seeds", seed=sampler.seed)
    desk, book = Desk(section, sampler, writer), _Book()
    lines = [Line.begin(seed) for seed in seeds]
    for generation in range(1, section.generations + 1):
        lines = _generation(desk, section, lines, generation, book)
    ledgers = book.ledgers()
    write_records(desk.folder / "seeds.jsonl", [seed.task for seed in seeds])
    write_records(desk.folder / "dropped.jsonl", book.dropped)
    write_records(desk.folder / "ledger.jsonl", ledgers)
    asked = len(seeds) * section.generations - book.absent
    desk.attempted(PARADIGM[section.taught], answers=asked, passed=len(book.rows), errors=book.absent)
    say([f"{section.folder}, {ledger_words(ledger)}" for ledger in ledgers], sampler.emit)
    return book.rows


def _generation(desk: Desk, section: EvolveSource, lines: Sequence[Line], number: int, book: _Book) -> list[Line]:
    """Evolve every line once, enter what becomes of it in ``book``, and return the lines as they go on."""
    steps, unfit, absent = evolve(desk, section, lines, number)
    new, equal = compare(desk, section, steps, number)
    chats, unanswered = answer_each(
        desk,
        f"{STEP}-{number}",
        [Chat.begin(step.asked(section)) for step in new],
        samples=section.samples,
        eliminate=spoils,
    )
    further = {step.line.id: step for step in new}
    done = [(chat, further[chat.asked.order.id]) for chat in chats]
    lost = [*unfit, *equal, *unanswered]
    book.rows += [_row(chat, step, desk, section) for chat, step in done]
    book.dropped += lost
    book.kept += Counter({EVOLVED: len(steps), COMPARED: len(new), STEP: len(chats)})
    book.absent += absent
    notes = [f"{len(lost):,} are tried again in the next"] if lost and number < section.generations else []
    book.generations.append(ledger_of(f"generation {number}", len(done), lost, notes))
    gone_on = {step.line.seed.task.id: step.line for _, step in done}
    return [gone_on.get(line.seed.task.id, line) for line in lines]


def _row(chat: Chat, step: Step, desk: Desk, section: EvolveSource) -> Example:
    """The row of an answered instruction. Its cost is the instruction, the comparison and every answer sampled."""
    line, last = step.line, chat.chosen[-1]
    return Example(
        id=content_id(SOURCE, [message.text for message in chat.messages]),
        messages=chat.messages,
        lineage=Lineage(
            paradigm=PARADIGM[section.taught],
            source=SOURCE,
            author=last.by or desk.writer.name,
            parents=(step.before.id, line.id, last.request_id),
            prompt=version(prompt_of(line.operations[-1])),
            sampling=desk.answering,
            seed=last.seed,
            round=desk.sampler.round,
            verdicts=chat.verdicts,
            operations=line.operations,
            estimated_level=line.level is not None,
            cost=Cost.of([*step.replies, *chat.replies]),
        ),
        task=SOURCE,
        dimension=line.seed.dimension,
        level=line.level,
        group=line.seed.task.id,
    )
