"""Instruction back-translation as a source of rows: which texts, by whom their requests are written, which are kept."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.sources.passages import PassagesSource
from tutelage.recipe.sources.self_improvement import SelfImprovementSource


class BackTranslationSource(PassagesSource, SelfImprovementSource):
    """Texts that people wrote become answers: a model writes the request that each passage of documents would answer,
    and scores both together; what scores high is learned, the text as it stands (instruction back-translation, Li et
    al. 2023)."""

    kind: Literal["back_translation"]

    examples: int = Field(default=3, ge=0)
    """Seeds shown, turned round: the answer first, then the request that it was written to. 0 shows none and needs no
    seeds."""

    threshold: int = Field(default=5, ge=1, le=5)
    """Grade from 1 to 5, given by who writes to request and text together, from which they are kept: 5 in the paper."""

    tag: str | None = Field(default=None, min_length=1)
    """A system turn of these rows, so that the model can tell them from experts' answers; the paper's is "Answer with
    knowledge from web search." What is learned under it is called up best by the same system turn, and evaluation here
    asks without one. Null: none."""

    dimension: str = Field(default="utility", min_length=1)
    """The dimension that the rows count for. Nobody checks it; they have no level."""

    temperature: float = Field(default=0.7, ge=0)
    """Sampling temperature of requests; grades are given at 0."""
