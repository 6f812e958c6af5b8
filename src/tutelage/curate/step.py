"""The contract of a step of curation, and the order in which rows are preferred."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from tutelage.curate.words import reworded
from tutelage.records import PARADIGMS, Conversation, Dropped, Example, Lineage, Message, TextPart, ToolCall
from tutelage.records.readings import RowScore


class Sifted(NamedTuple):
    """What a step kept, what it dropped, what to know about it (for the ledger), and what it measured of rows."""

    kept: list[Example]
    dropped: list[Dropped]
    notes: tuple[str, ...] = ()
    scores: tuple[RowScore, ...] = ()


@runtime_checkable
class Step(Protocol):
    """One step of curation. It loses no row: each is kept, or dropped with its reason.

    A row is kept as it is, or with other words in its turns and its lineage, made by :func:`change`: the lineage then
    tells what was changed. Nothing else of a row may change, and changing what was changed once changes nothing more.
    What is kept must not depend on the order in which rows come.
    """

    @property
    def name(self) -> str:
        """The name in the ledger."""
        ...

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        ...


@runtime_checkable
class Masking(Protocol):
    """A step that masks what must not be written down, also in rows that other steps drop."""

    def mask_dropped(self, row: Dropped) -> Dropped:
        """Return a dropped row with its reason and the row itself masked."""
        ...


def drop(row: Example, step: str, kind: str, detail: str = "") -> Dropped:
    """Return ``row`` as dropped; the ledger counts by ``kind`` (no colon in it), ``detail`` tells the rest."""
    return Dropped(id=row.id, step=step, reason=f"{kind}: {detail}" if detail else kind, row=row.to_json())


def change(
    row: Example, step: str, messages: Conversation, what: Iterable[str], *, lineage: Lineage | None = None
) -> Example:
    """Return ``row`` with other words in its turns; the lineage and the ledger tell ``what`` was changed (at least one
    thing, no colon in it), never what was there before. ``lineage``: the row's, with other words (:func:`reworded`)."""
    changes = (*row.lineage.changes, *(f"{step}: {one}" for one in what))
    told = (lineage or row.lineage).model_copy(update={"changes": changes})
    return row.model_copy(update={"messages": messages, "lineage": told})


def is_change(before: Example, after: Example, step: str) -> bool:
    """Return whether ``after`` is ``before`` as ``step`` may change it: other words in the same turns or in its
    lineage, and said so."""
    old, new = before.lineage.changes, after.lineage.changes
    roles = [message.role for message in before.messages], [message.role for message in after.messages]
    given, lineage = (_wordless(one) for one in (before.lineage, after.lineage.model_copy(update={"changes": old})))
    return (
        len(new) > len(old)
        and new[: len(old)] == old
        and all(one.startswith(f"{step}: ") for one in new[len(old) :])
        and roles[0] == roles[1]
        and given == lineage
        and after.model_copy(update={"messages": before.messages, "lineage": before.lineage}) == before
    )


def _wordless(lineage: Lineage) -> Lineage:
    return reworded(lineage, lambda text: "")


class Content:
    """A row by all that it says, for sorting: written out only where everything before it is equal."""

    __slots__ = ("row",)

    def __init__(self, row: Example) -> None:
        self.row = row

    def __lt__(self, other: "Content") -> bool:
        return self.row.to_json() < other.row.to_json()


def by_id(row: Example) -> tuple[str, Content]:
    """The sort key that puts rows in the order of their ids, and of their contents where ids are equal."""
    return row.id, Content(row)


def preference(row: Example) -> tuple[bool, int, int, str, Content]:
    """The sort key that puts first which of two alike rows survives.

    Verified before unverified (the last verdict in the lineage, on the answer that was kept, passed), then expert
    before distilled before self-improved, then the shorter id; the id and the content settle the rest.
    """
    verdicts = row.lineage.verdicts
    verified = bool(verdicts) and verdicts[-1].passed
    return not verified, PARADIGMS.index(row.lineage.paradigm), len(row.id), row.id, Content(row)


def prompt_text(row: Example) -> str:
    """Every turn before the answer, each after its role; media by their references."""
    return "\n".join(f"{message.role}: {_content(message)}" for message in row.prompt)


def answer_text(row: Example) -> str:
    """The answer with its reasoning and its tool calls."""
    return _content(row.target)


def _content(message: Message) -> str:
    """What a turn says, in words that are the same for the same turn: calls have no id, and their arguments an order.
    Its reasoning stands first, so that two ways to one answer are two rows."""
    parts = [part.text if isinstance(part, TextPart) else f" <{part.sha256 or part.uri}> " for part in message.content]
    reasoning = [f"<think>{message.reasoning}</think>\n"] if message.reasoning else []
    return "".join([*reasoning, *parts, *(f" {call.name} {_call(call)}" for call in message.tool_calls)])


def _call(call: ToolCall) -> str:
    return json.dumps({"name": call.name, "arguments": call.arguments}, sort_keys=True, ensure_ascii=False)
