"""The contract of a step of curation, and the order in which rows are preferred."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from tutelage.records import PARADIGMS, Dropped, Example, Message, TextPart
from tutelage.records.readings import RowScore


class Sifted(NamedTuple):
    """What a step kept, what it dropped, what to know about it (for the ledger), and what it measured of rows."""

    kept: list[Example]
    dropped: list[Dropped]
    notes: tuple[str, ...] = ()
    scores: tuple[RowScore, ...] = ()


@runtime_checkable
class Step(Protocol):
    """One step of curation. It changes no row and loses none: each is kept, or dropped with its reason.

    Which rows are kept must not depend on the order in which they come.
    """

    @property
    def name(self) -> str:
        """The name in the ledger."""
        ...

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        ...


def drop(row: Example, step: str, kind: str, detail: str = "") -> Dropped:
    """Return ``row`` as dropped; the ledger counts by ``kind`` (no colon in it), ``detail`` tells the rest."""
    return Dropped(id=row.id, step=step, reason=f"{kind}: {detail}" if detail else kind, row=row.to_json())


class Content:
    """A row by all that it says, for sorting: written out only where everything before it is equal."""

    __slots__ = ("row",)

    def __init__(self, row: Example) -> None:
        self.row = row

    def __lt__(self, other: "Content") -> bool:
        return self.row.to_json() < other.row.to_json()


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
    """The answer with its tool calls."""
    return _content(row.target)


def _content(message: Message) -> str:
    parts = [part.text if isinstance(part, TextPart) else f" <{part.sha256 or part.uri}> " for part in message.content]
    return "".join([*parts, *(f" {call.name} {call.model_dump_json()}" for call in message.tool_calls)])
