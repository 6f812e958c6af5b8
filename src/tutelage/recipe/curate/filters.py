"""Steps that judge a row by itself, or beside the items of evaluation."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.base import Section


class ValidateStep(Section):
    """Drop rows that are no conversation to learn from: empty, out of turn, over-long, with broken characters."""

    kind: Literal["validate"]

    max_target_chars: int = Field(default=20_000, ge=1)
    """Longest answer, in characters."""

    max_prompt_chars: int = Field(default=100_000, ge=1)
    """Longest prompt, all turns before the answer together, in characters."""


class ContaminationStep(Section):
    """Drop rows that share a run of words with an item of the probe, gate or test split."""

    kind: Literal["contamination"]

    ngram: int = Field(default=13, ge=2)
    """Words that a row must not share with an item."""

    short_ngram: int = Field(default=8, ge=2)
    """The same for items with fewer than ``ngram`` words."""

    boilerplate_share: float = Field(default=0.05, gt=0, le=1)
    """Runs of words in more than this share of the items are boilerplate: ignored and listed in the ledger."""


class QualityStep(Section):
    """Drop answers that go round in circles."""

    kind: Literal["quality"]

    max_repeated_share: float = Field(default=0.2, ge=0, le=1)
    """Largest share of an answer's word 5-grams that occurred in it before."""
