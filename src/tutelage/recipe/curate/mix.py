"""How much of each there may be."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.base import Section
from tutelage.records.base import LEVELS, PARADIGMS


class MixStep(Section):
    """Cap what there is too much of."""

    kind: Literal["mix"]

    answers_per_prompt: int = Field(default=4, ge=0)
    """Most answers to one prompt; 0 = any number."""

    rows_per_cell: int = Field(default=0, ge=0)
    """Most rows of one cell (dimension, level and facet); 0 = any number."""

    facet_shares: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Largest share of its dimension's rows that a facet may have, such as {harmful: 0.4}; a facet that is not
    named has no cap."""

    replay_share: float = Field(default=1.0, ge=0, le=1)
    """Largest share of the rows that may come from earlier rounds; 1 keeps all of them."""


Kind = Literal["source", "paradigm", "dimension", "task", "level", "facet"]


class MixtureStep(Section):
    """Keep so many rows of each kind that their shares are as wanted. No row is ever repeated."""

    kind: Literal["mixture"]

    by: Kind = "source"
    """What tells kinds apart: where rows come from (``source``, such as examples or rejection; ``paradigm``: expert,
    distill, self, rehearsal), or what they are about."""

    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """The share of each kind, such as {expert: 2, distill: 1}; they need not sum to 1. Rows of a kind that is not named
    are dropped."""

    temperature: float | None = Field(default=None, ge=1)
    """Shares of n^(1/T) for kinds of n rows: 1 leaves them as they are, larger ones make them more alike."""

    rows: int | None = Field(default=None, ge=1)
    """How many rows there are to be in all; null: as many as the wanted shares allow."""

    short: Literal["fill", "shrink"] = "shrink"
    """What happens where a kind has too few rows for its share of ``rows``. ``shrink``: there are fewer rows in all, in
    the wanted shares. ``fill``: the other kinds give more, in their shares among themselves."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.weights is None) == (self.temperature is None):
            raise ValueError("give either weights or temperature: one of them says what the shares are")
        if self.temperature == 1 and self.rows is None:
            raise ValueError("temperature: 1 keeps the shares as they are, and without rows nothing is dropped")
        if self.rows is None and "short" in self.model_fields_set:
            raise ValueError("short says what happens where rows cannot be reached, and rows is not given")
        if self.weights is not None and not any(self.weights.values()):
            raise ValueError("weights: one of them must be above 0")
        known = {"paradigm": PARADIGMS, "level": LEVELS}.get(self.by)
        unknown = [name for name in self.weights or () if known is not None and name not in known]
        if unknown and known is not None:
            raise ValueError(f"weights: {', '.join(unknown)} is no {self.by}; there are: {', '.join(known)}")
        return self
