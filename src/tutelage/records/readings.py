"""What a model made of rows before they are chosen among: kept, so that no row is read twice."""

import math

from pydantic import Field

from tutelage.records.base import Record

MOST = 700.0
"""Largest logarithm of a perplexity or of a ratio: beyond it a double has no number."""


class Likelihood(Record):
    """How a model finds the last answer of a row: mean negative log-likelihood in nats a token, over ``tokens`` tokens,
    its end token aside. ``given``: after all turns before it. ``alone``: after nothing but what the chat template
    writes before an answer. ``key`` names the conversation and who read it."""

    key: str
    given: float = Field(ge=0, allow_inf_nan=False)
    alone: float = Field(ge=0, allow_inf_nan=False)
    tokens: int = Field(ge=1)

    @property
    def perplexity(self) -> float:
        """PPL(y|x) = exp(given)."""
        return math.exp(min(self.given, MOST))

    @property
    def ifd(self) -> float:
        """PPL(y|x) / PPL(y) = exp(given − alone) (Li et al. 2024, "Superfiltering")."""
        return math.exp(min(self.given - self.alone, MOST))


class Embedded(Record):
    """A text as numbers: base64 of little-endian float16. ``key`` names the text and who read it."""

    key: str
    numbers: str


class RowScore(Record):
    """What a step of curation measured of a row, kept or dropped."""

    id: str
    step: str
    name: str
    value: float
