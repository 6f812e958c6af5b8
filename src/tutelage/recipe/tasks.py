"""Which tasks a run is about."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tutelage.recipe.rows import LearnedTask, RowsSection


class ConstraintsSection(LearnedTask):
    """Verifiable constraints on short texts (dimension ``instruction_following``)."""

    kind: Literal["constraints"]


class GroundedSection(LearnedTask):
    """Questions about passages on invented entities (dimension ``faithfulness``)."""

    kind: Literal["grounded"]

    answer_tokens: int | None = Field(default=64, ge=1)
    """Longest answer sampled for training, where that is less than ``construct.max_tokens``."""


class SafetySection(LearnedTask):
    """Harmful requests and harmless look-alikes (dimension ``safety``)."""

    kind: Literal["safety"]

    harmless_share: float = Field(default=0.8, ge=0.5, le=1)
    """Share of harmless requests among those that are learned from; the other splits have as many of both."""


class CustomTaskSection(LearnedTask):
    """A task of one's own: a class or function that returns a ``tutelage.tasks.Task``."""

    kind: Literal["custom"]

    path: str
    """``package.module:name`` or ``file.py:name``, relative to the recipe."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments."""


TaskSection = Annotated[
    ConstraintsSection | GroundedSection | SafetySection | RowsSection | CustomTaskSection, Field(discriminator="kind")
]
