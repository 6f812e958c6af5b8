"""Documents as a source of rows: which, how they are cut, what is asked of them."""

from typing import Literal

from pydantic import Field, field_validator

from tutelage.recipe.sources.passages import PassagesSource
from tutelage.records import LEVELS, Level


class DocumentsSource(PassagesSource):
    """Questions and answers that the teacher writes about passages of documents, each with words quoted from the
    passage; only what is quoted word for word is kept. PDF, DOCX, HTML, Markdown and plain text."""

    kind: Literal["documents"]

    per_chunk: int = Field(default=2, ge=1)
    """Questions asked of the teacher for each passage."""

    levels: tuple[Level, ...] = LEVELS
    """Levels of difficulty that are asked for in turn. Advanced and expert answers must rest on two quotes."""

    form: Literal["open_book", "closed_book"] = "open_book"
    """What the student learns: the answer to the passage and the question (``open_book``), or to the question alone,
    which then must not speak of a passage (``closed_book``)."""

    unanswerable: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the rows whose passage does not hold the answer, so that they teach to abstain: a kept question beside
    another passage that has none of the quoted words. 0 makes none."""

    abstention: str = Field(default="The text does not say.", min_length=1)
    """What is learned where the passage does not hold the answer; in the language of the documents."""

    max_tokens: int = Field(default=512, ge=32)
    """Longest answer of the teacher, in tokens: question, answer, quotes and the JSON around them."""

    retries: int = Field(default=1, ge=0)
    """How often the teacher is asked again, with what was wrong, where its answer could not be used."""

    @field_validator("levels")
    @classmethod
    def _has_levels(cls, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        if not levels or len(set(levels)) < len(levels):
            raise ValueError(f"name one or more of {', '.join(LEVELS)}, each once")
        return levels
