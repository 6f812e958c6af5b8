"""Self-rewarding as a source of pairs: how many answers are compared, how often each is judged."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.sources.bootstrap import BootstrapSource


class SelfRewardingSource(BootstrapSource):
    """Answers that a model gives and judges itself (self-rewarding language models, Yuan et al. 2024): new instructions
    as in Self-Instruct, several answers to each, points for each answer by the same model, and of the best and the
    worst a pair for ``dpo`` and its like."""

    kind: Literal["self_rewarding"]

    candidates: int = Field(default=4, ge=2)
    """Answers to each instruction."""

    judgings: int = Field(default=3, ge=1)
    """How often each answer is judged, from 0 to 5 points; the mean counts."""

    temperature: float = Field(default=0.7, gt=0)
    """Sampling temperature of instructions, answers and judgings."""

    positives: float | None = Field(default=5.0, gt=0, le=5)
    """Mean points from which the best answer is also a row, as in the paper's variant of positive examples alone; a run
    learns from rows, and the pairs are for ``tutelage tune``. Null: pairs alone."""
