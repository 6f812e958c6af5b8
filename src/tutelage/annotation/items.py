"""What people are asked about: a question, perhaps with answers; and what the store says of it."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, JsonValue

from tutelage.annotation.work import ANSWERS_NEEDED, SpansWork, Work
from tutelage.errors import Problem
from tutelage.records import Conversation, Level, Record

Role = Literal["annotator", "adjudicator"]


class Candidate(Record):
    """An answer that an item brings. ``key`` is what people choose and rank by; who wrote it is not shown to them."""

    key: str
    text: str
    author: str = ""


class WorkItem(Record):
    """One item: ``messages`` end in the user's question; ``metadata`` is kept for whoever brought it, and not shown."""

    id: str = Field(min_length=1, max_length=200)
    messages: Conversation
    answers: tuple[Candidate, ...] = ()
    task: str = ""
    dimension: str = ""
    level: Level | None = None
    facet: str = ""
    group: str = ""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the answers."""
        return tuple(answer.key for answer in self.answers)

    def answer(self, key: str) -> Candidate:
        """Return the answer with this key."""
        return next(answer for answer in self.answers if answer.key == key)

    def marked(self, of: Literal["question", "answer"]) -> str:
        """Return the text whose stretches are marked."""
        if of == "answer":
            return self.answers[0].text
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


def item_faults(item: WorkItem, work: Work, where: str) -> Iterator[Problem]:
    """Yield what keeps an item from being asked about with a kind of work."""
    least = ANSWERS_NEEDED[work.kind]
    if isinstance(work, SpansWork) and work.of == "answer":
        least = 1
    have = len(item.answers)
    if have < least or (work.kind == "choose" and have != 2):
        wanted = "exactly two answers" if work.kind == "choose" else f"at least {least} answer{'s' * (least > 1)}"
        yield Problem(f"work of kind {work.kind} needs {wanted}", where, str(have), "give the row its answers")
    elif work.kind in ("correct", "rate", "spans") and have > 1:
        yield Problem(f"work of kind {work.kind} is about one answer", where, f"{have} answers", "make a row of each")
    if not item.messages or item.messages[-1].role != "user" or not item.messages[-1].text.strip():
        yield Problem("expected a question: a last turn of the user that is not empty", where)
    if len(set(item.keys)) < have:
        yield Problem("two answers have the same key", where, ", ".join(item.keys))
    if "\x00" in item.id:
        yield Problem("an id cannot hold the character NUL", where, remedy="remove it")
