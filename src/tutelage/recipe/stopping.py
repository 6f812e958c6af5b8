"""When a training that gets no better is ended, and which of its weights are kept."""

from typing import Annotated

from pydantic import Field

from tutelage.recipe.base import Section
from tutelage.records.base import Level


class EarlyStoppingSection(Section):
    """Ends a training whose answers get no better, and keeps the weights whose answers were best. Every so many steps,
    before the first and after the last one too, the weights of the moment answer items of the probe split, greedily,
    and their tasks' checks score the answers. Nothing learns from them; but of several weights those were taken that
    did best on these items, so their score there is no proof of anything, and gate and test never ask them."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Names of the recipe's tasks that are asked; null: all."""

    levels: Annotated[tuple[Level, ...], Field(min_length=1)] | None = None
    """Which of their levels; null: all."""

    items: int = Field(default=16, ge=1)
    """Probe items a cell (dimension × level), the same at every look. The score is the mean over cells."""

    every: int = Field(default=20, ge=1)
    """Optimizer steps from look to look. Each look costs as many answers as there are items."""

    patience: int = Field(default=3, ge=1)
    """Looks on end without a rise, after which the training ends."""

    min_delta: float = Field(default=0.0, ge=0, le=1)
    """Least rise that counts: above the score at the last rise that did, so that a slow rise counts in the end; 0: any.
    The weights of the highest score are kept whether or not it counted, the earliest of equal ones."""

    max_tokens: int = Field(default=128, ge=1)
    """Longest answer."""

    answers_at_once: int = Field(default=64, ge=1)
    """Answers that are decoded at a time."""
