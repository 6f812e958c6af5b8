"""Questions that somebody answered with the reasons written down."""

from pydantic import Field

from tutelage.records.base import Record


class Reasoned(Record):
    """A question, what its answer follows from, and the answer."""

    prompt: str = Field(pattern=r"\S")
    reasoning: str = Field(pattern=r"\S")
    answer: str = Field(pattern=r"\S")
