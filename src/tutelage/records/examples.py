"""What a model is trained on: examples, preferences (paired and not), lessons."""

from typing import Literal

from tutelage.records.answers import Answer
from tutelage.records.base import Level, Record
from tutelage.records.items import Item
from tutelage.records.lineage import Lineage
from tutelage.records.messages import Conversation, Message
from tutelage.records.verdicts import Verdict


class Example(Record):
    """A conversation that ends in an assistant turn; one schema for all three paradigms.

    All its assistant turns are learned (:mod:`tutelage.models.template`), so who makes one vouches for each of them.
    """

    id: str
    messages: Conversation
    lineage: Lineage
    task: str = ""
    dimension: str = ""
    level: Level | None = None
    facet: str = ""
    group: str = ""

    @property
    def prompt(self) -> Conversation:
        """Every message before the last."""
        return self.messages[:-1]

    @property
    def target(self) -> Message:
        """The assistant turn that ends the conversation."""
        return self.messages[-1]


class Demonstration(Record):
    """An item and an answer that an expert wrote to it; the check of the item's task must pass it."""

    item: Item
    answer: str
    author: str
    minutes: float | None = None


class Preference(Record):
    """Of two answers to one prompt, the one that is better. ``margin``: by how much at least, in rewards."""

    id: str
    prompt: Conversation
    chosen: Message
    rejected: Message
    lineage: Lineage
    task: str = ""
    dimension: str = ""
    level: Level | None = None
    margin: float = 0.0


class UnpairedPreference(Record):
    """An answer to a prompt, and whether such answers are ``wanted``."""

    id: str
    prompt: Conversation
    answer: Message
    wanted: bool
    lineage: Lineage
    task: str = ""
    dimension: str = ""
    level: Level | None = None


def with_answer(row: Preference | UnpairedPreference, answer: Message) -> Example:
    """Return the prompt of ``row`` with one of its answers as a row, under its id and with its lineage."""
    return Example(
        id=row.id,
        messages=(*row.prompt, answer),
        lineage=row.lineage,
        task=row.task,
        dimension=row.dimension,
        level=row.level,
    )


class Turn(Record):
    """One step of a lesson: an answer and the verdict on it; ``critique`` is what was then said to the student, and
    ``critic`` the model that said it (empty: only the check's reason)."""

    answer: Answer
    verdict: Verdict
    critique: str = ""
    critic: str = ""


class Lesson(Record):
    """Instruction, attempt, verdict with reason, critique, revision, its verdict, and whose answer was kept.

    Trained on (instruction, kept answer) without the critique; (kept, failed attempt) is a preference. ``mended``: the
    task's program put an answer into the demanded form. ``part``: no answer met the whole item, and one that met some
    of its demands was kept for the item with just these.
    """

    id: str
    item: Item
    turns: tuple[Turn, ...]
    kept: Literal["attempt", "revision", "mended", "teacher", "reference", "part", "nothing"]
    round: int = 0
