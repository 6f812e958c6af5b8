"""What is asked: one item of a task."""

from pydantic import Field, JsonValue

from tutelage.records.base import Level, Record, Split
from tutelage.records.messages import Conversation


class Item(Record):
    """One question of a task, at a known level, in one split.

    ``group`` is the cluster that intervals respect (template, passage or behavior): items of one group share a source.
    ``facet`` names a half that is always reported on its own (``harmful``/``harmless``, ``stated``/``absent``).
    ``kinds`` lists what the item is made of (constraint families, question type, disguise); ``transfer`` marks items
    made of kinds that exist only in the test split. ``spec`` is the task's own: what its check needs.
    """

    id: str
    task: str
    dimension: str
    level: Level
    split: Split
    messages: Conversation
    group: str
    facet: str = ""
    kinds: tuple[str, ...] = ()
    transfer: bool = False
    reference: str | None = None
    passage: str | None = None
    spec: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The text of the last user turn."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def cell(self) -> tuple[str, Level]:
        """The cell of the instruction-alignment matrix: dimension and level."""
        return self.dimension, self.level
