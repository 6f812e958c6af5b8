"""How much of each there may be."""

from typing import Annotated, Literal

from pydantic import Field

from tutelage.recipe.base import Section


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
