"""Magpie as a source of rows: how often a model is given an empty user's turn, and what of what it writes is kept."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tutelage.recipe.sources.base import SourceSection
from tutelage.text.languages import NAMES

Quality = Literal["very poor", "poor", "average", "good", "excellent"]
Difficulty = Literal["very easy", "easy", "medium", "hard", "very hard"]


class MagpieSource(SourceSection):
    """Requests out of nothing (Magpie, Xu et al. 2024): a model is given its own chat template up to the words of the
    user, writes these itself, and then answers them."""

    kind: Literal["magpie"]

    requests: int = Field(default=64, ge=1)
    """Requests that are written a round; fewer rows come of them."""

    by: Literal["student", "teacher"] = "student"
    """Who writes and answers: the student of the round, or the teacher of ``construct.distill``, if that is a model on
    this machine: an endpoint of chat completions does not take an unfinished prompt."""

    system: str | None = Field(default=None, min_length=1)
    """A system turn before the empty turn of the user, by which requests are led to a subject. It stands neither before
    the answers nor in the rows. Null: what the template writes where there is none."""

    language: str = "en"
    """The language of requests and answers (ISO 639-1); what clearly reads as another is left out."""

    dimension: str = Field(default="utility", min_length=1)
    """The dimension that the rows count for. Nobody checks it."""

    quality: Quality | None = "average"
    """Lowest quality with which a request is kept, as a model reads it: that of ``construct.judge``, or the writer
    where there is none. It also reads how hard a request is, which gives the row its level. Null: nobody reads it, and
    rows have no level."""

    novelty: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L that a request must stay below, to each one kept before it in the round."""

    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of requests, …"""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """… and their nucleus."""

    answer_temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature of answers: greedy, as in the paper, unless several are sampled."""

    samples: int = Field(default=1, ge=1)
    """Answers to each request, of which the best is kept."""

    max_tokens: int = Field(default=512, ge=32)
    """Longest request or answer, in tokens."""

    retries: int = Field(default=1, ge=0)
    """How often a reading that is not of the form is asked for again."""

    @property
    def taught(self) -> bool:
        """Whether the teacher writes."""
        return self.by == "teacher"

    @field_validator("language")
    @classmethod
    def _is_known(cls, language: str) -> str:
        if language not in NAMES:
            raise ValueError(f"it cannot be told from other languages; known are {', '.join(NAMES)}")
        return language

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.answer_temperature:
            raise ValueError(f"samples: all {self.samples} would be the same at answer_temperature 0; raise it")
        return self
