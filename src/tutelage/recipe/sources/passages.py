"""What sources have in common that read documents: which files, and how they are cut."""

import codecs
from typing import Literal

from pydantic import Field, field_validator

from tutelage.recipe.sources.base import SourceSection


class PassagesSource(SourceSection):
    """Passages of documents: PDF, DOCX, HTML, Markdown and plain text."""

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
    def _is_an_encoding(cls, encoding: str | None) -> str | None:
        try:
            return encoding if encoding is None else codecs.lookup(encoding).name
        except LookupError:
            raise ValueError("there is no such encoding; name one that Python knows, such as cp1252") from None
