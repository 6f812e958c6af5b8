"""Which tasks a run is about."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tutelage.recipe.base import Section
from tutelage.recipe.rows import RowsSection


class ConstraintsSection(Section):
    """Verifiable constraints on short texts (dimension ``instruction_following``)."""

    kind: Literal["constraints"]

    weight: float = Field(default=1.0, gt=0)
    """Weight of the dimension when the budget is planned."""

    answer_tokens: int | None = Field(default=None, ge=1)
    """Longest answer sampled for training, where that is less than ``construct.max_tokens``."""


class GroundedSection(Section):
    """Questions about passages on invented entities (dimension ``faithfulness``)."""

    kind: Literal["grounded"]

    weight: float = Field(default=1.0, gt=0)
    """Weight of the dimension when the budget is planned."""

    answer_tokens: int | None = Field(default=64, ge=1)
    """Longest answer sampled for training, where that is less than ``construct.max_tokens``."""


class SafetySection(Section):
    """Harmful requests and harmless look-alikes (dimension ``safety``)."""

    kind: Literal["safety"]

    harmless_share: float = Field(default=0.8, ge=0.5, le=1)
    """Share of harmless requests among those that are learned from; the other splits have as many of both."""

    weight: float = Field(default=1.0, gt=0)
    """Weight of the dimension when the budget is planned."""

    answer_tokens: int | None = Field(default=None, ge=1)
    """Longest answer sampled for training, where that is less than ``construct.max_tokens``."""


class CustomTaskSection(Section):
    """A task of one's own: a class or function that returns a ``tutelage.tasks.Task``."""

    kind: Literal["custom"]

    path: str
    """``package.module:name`` or ``file.py:name``, relative to the recipe."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments."""

    weight: float = Field(default=1.0, gt=0)
    """Weight of the dimension when the budget is planned."""

    answer_tokens: int | None = Field(default=None, ge=1)
    """Longest answer sampled for training, where that is less than ``construct.max_tokens``."""


TaskSection = Annotated[
    ConstraintsSection | GroundedSection | SafetySection | RowsSection | CustomTaskSection, Field(discriminator="kind")
]
