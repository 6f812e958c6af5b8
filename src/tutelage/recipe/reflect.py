"""How the next round is planned and when a model is promoted."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tutelage.recipe.base import Section


class GapYieldPlanner(Section):
    """Prompts ∝ weight × gap × expected yield × progress."""

    kind: Literal["gap_yield"]


class UniformPlanner(Section):
    """The same number of prompts for every cell."""

    kind: Literal["uniform"]


class CustomPlanner(Section):
    """A function of one's own with the signature of the planners in ``tutelage.reflect.plan``."""

    kind: Literal["custom"]

    path: str
    """``package.module:function`` or ``file.py:function``."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the function."""


Planner = Annotated[GapYieldPlanner | UniformPlanner | CustomPlanner, Field(discriminator="kind")]


class GateSection(Section):
    """The promotion rule: macro better, nothing guarded worse."""

    margin: float = Field(default=0.10, gt=0, lt=1)
    """Non-inferiority margin of guards without one of their own: a difference of rates, a relative change of
    perplexity."""

    margins: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Margins of single guards by name: safety/harmful, safety/harmless, perplexity, repetition, ended, length (1.0
    unless set here), references, or a dimension of the tasks, which is then guarded as faithfulness always is."""

    required: tuple[str, ...] = ()
    """Guards by name without which nothing is promoted: where one cannot be measured the verdict is inconclusive."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of the two-sided macro interval and of the one-sided guards."""

    resamples: int = Field(default=10_000, ge=1000)
    """Bootstrap resamples."""


class ReflectSection(Section):
    """Planning and promotion."""

    planner: Planner = GapYieldPlanner(kind="gap_yield")
    """How prompts are spread over the cells."""

    gate: GateSection = GateSection()
    """The promotion rule."""

    target: float | None = Field(default=None, gt=0, le=1)
    """Stop when the promoted model's probe macro reaches this; null never."""
