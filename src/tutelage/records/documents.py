"""Documents as text, and the passages that they are cut into."""

from pydantic import Field

from tutelage.records.base import Record

PARAGRAPH = "\n\n"
"""What stands between two paragraphs of a document's text, and nowhere else."""


class Section(Record):
    """Where a section begins, in characters of the document, and what its headings are; ``page``: it is only a page,
    over whose end a passage may go on."""

    start: int = Field(ge=0)
    title: str
    page: bool = False


class Document(Record):
    """One file as text. ``name`` is its path as the recipe has it, ``kind`` what was read, ``encoding`` how a text was
    decoded; ``notes`` say what of it was not read."""

    id: str
    name: str
    kind: str
    sha256: str
    text: str
    sections: tuple[Section, ...] = ()
    encoding: str = ""
    notes: tuple[str, ...] = ()


class Passage(Record):
    """Characters ``start`` to ``end`` of a document: whole paragraphs, or sentences of a long one."""

    id: str
    document: str
    name: str
    section: str
    start: int
    end: int
    text: str
