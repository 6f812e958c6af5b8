"""The answer key of an item: what the check must know. It travels in ``Item.spec``."""

from tutelage.records import Record
from tutelage.tasks.grounded.values import ValueKind


class Rival(Record):
    """A value of the asked kind that stands in the passage and is not the answer.

    ``owner`` is the one it belongs to and ``noun`` what it is; ``superseded`` marks a value that the passage corrects.
    """

    value: str
    owner: str
    noun: str
    superseded: bool = False


class AnswerKey(Record):
    """``gold`` answers what ``noun`` of ``subject`` is asked; None: the passage does not state it.

    ``candidates`` are the two entities that a comparison names.
    """

    kind: ValueKind
    noun: str
    subject: str
    gold: str | None = None
    rivals: tuple[Rival, ...] = ()
    candidates: tuple[str, ...] = ()
