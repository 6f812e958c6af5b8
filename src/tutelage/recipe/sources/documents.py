"""Documents as a source of rows: which, how they are cut, what is asked of them."""

import codecs
from typing import Literal

from pydantic import Field, field_validator

from tutelage.recipe.sources.base import SourceSection
from tutelage.records import LEVELS, Level


class DocumentsSource(SourceSection):
    """Questions and answers that the teacher writes about passages of documents, each with words quoted from the
    passage; only what is quoted word for word is kept. PDF, DOCX, HTML, Markdown and plain text."""

    kind: Literal["documents"]

    path: str | tuple[str, ...]
    """A file, a folder (with all below it), or several of them, relative to the recipe."""

    unreadable: Literal["refuse", "leave_out"] = "refuse"
    """What becomes of a file that cannot be read (a scan, a password, an unknown kind): ``refuse`` names all of them
    and starts nothing; ``leave_out`` counts them with their reasons and goes on with the others."""

    encoding: str | None = None
    """What text files are in that are not UTF-8 and do not name their encoding, such as cp1252; null refuses them."""

    passage_words: int = Field(default=200, ge=40)
    """Longest passage, in words (24 more where a rest would be too short to ask of). Documents are cut at headings
    and paragraphs, long paragraphs at sentences."""

    passages: int | None = Field(default=64, ge=1)
    """At most this many passages a round; the next round takes the next ones, in an order drawn by the seed. Null
    takes all in every round."""

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

    @property
    def paths(self) -> tuple[str, ...]:
        """The files and folders."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @field_validator("path")
    @classmethod
    def _names_something(cls, path: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not path or not all(path):
            raise ValueError("name a file or a folder")
        return path

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            return encoding if encoding is None else codecs.lookup(encoding).name
        except LookupError:
            raise ValueError("there is no such encoding; name one that Python knows, such as cp1252") from None

    @field_validator("levels")
    @classmethod
    def _has_levels(cls, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        if not levels or len(set(levels)) < len(levels):
            raise ValueError(f"name one or more of {', '.join(LEVELS)}, each once")
        return levels
