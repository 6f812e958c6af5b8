"""A round's rows from Magpie (Xu et al. 2024): written in the user's place, sifted, read, answered."""

from tutelage.construct.instructions.answers import STEP, Chat, answer_each
from tutelage.construct.ledgers import Book
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.magpie_requests import (
    NEVER_CAME,
    READING,
    READINGS,
    REQUESTS,
    Desk,
    Thought,
    read,
    think_of,
)
from tutelage.construct.self_improve.seeds import PARADIGM
from tutelage.events import say
from tutelage.recipe.sources import MagpieSource
from tutelage.records import Cost, Example, Lineage, content_id

SOURCE = "magpie"
EMPTY_TURN = "an empty turn of the user"
"""What asked for a request, in lineage."""


def magpie_rows(section: MagpieSource, sampler: Sampler, *, writer: Asker, judge: Asker | None) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``requests.jsonl``, ``readings.jsonl`` and ``answers.jsonl`` are every reply, ``dropped.jsonl`` all that gave
    nothing, with its reason, ``ledger.jsonl`` the counts. What it took is put on ``sampler.meters``: a request is an
    attempt, a row one that passed. ``judge`` reads the requests; None: who writes them.

    Raises what :meth:`Desk.ask` and :meth:`Bench.score` raise.
    """
    desk, book = Desk(section, sampler, writer, judge), Book()
    thoughts, unfit = think_of(desk)
    book.enter(REQUESTS, len(thoughts), unfit)
    if section.quality is not None:
        thoughts, poor, notes = read(desk, thoughts)
        book.enter(READINGS, len(thoughts), poor, notes)
    chats, unanswered = answer_each(
        desk, STEP, [Chat.begin(one.asked(section)) for one in thoughts], samples=section.samples
    )
    by_id = {one.id: one for one in thoughts}
    rows = [_row(chat, by_id[chat.asked.order.id], desk) for chat in chats]
    nobody = sum(row.lineage.verdicts[-1].score is None for row in rows)
    notes = [f"of {nobody:,} rows nobody has judged what the answer says (construct.judge)"] if nobody else []
    book.enter(STEP, len(rows), unanswered, notes)
    book.write(desk.folder)
    absent = sum(row.reason.startswith(NEVER_CAME) for row in unfit)
    desk.attempted(PARADIGM[section.taught], answers=section.requests - absent, passed=len(rows), errors=absent)
    say(book.words(section.folder), sampler.emit)
    return rows


def _row(chat: Chat, thought: Thought, desk: Desk) -> Example:
    """The row of an answered request. Its cost is the request, what its writer read of it, and every answer sampled."""
    section, last = desk.section, chat.chosen[-1]
    return Example(
        id=content_id(SOURCE, [message.text for message in chat.messages]),
        messages=chat.messages,
        lineage=Lineage(
            paradigm=PARADIGM[section.taught],
            source=SOURCE,
            author=last.by or desk.writer.name,
            parents=(thought.id, last.request_id),
            prompt=EMPTY_TURN if section.quality is None else f"{EMPTY_TURN} {version(READING)}",
            sampling=desk.answering,
            seed=last.seed,
            round=desk.sampler.round,
            verdicts=chat.verdicts,
            assessment=thought.assessment,
            cost=Cost.of([*thought.replies, *chat.replies]),
        ),
        task=SOURCE,
        dimension=section.dimension,
        level=thought.level,
        group=thought.id,
    )
