"""A constitution as a source of rows: whose answers are criticized by which principles, and by whom."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.sources.base import SourceSection


class ConstitutionSource(SourceSection):
    """Answers of the student, criticized by principles and revised: the supervised stage of Constitutional AI (Bai et
    al. 2022). The last revision is learned, without the critique."""

    kind: Literal["constitution"]

    prompts: str | None = None
    """A file of prompts, relative to the recipe: rows in any form, with answers (not read) or without. Null: train
    items of the recipe's tasks, as many of each task and level."""

    rows: int = Field(default=64, ge=1)
    """Prompts a round, at most. Of a file the next round takes the next ones, in an order drawn by the seed."""

    by: Literal["student", "teacher"] = "student"
    """Who criticizes and revises: the ``student`` itself, as in the paper, or the ``teacher`` of
    ``construct.distill``, who is then shown the student's answers and writes what is learned."""

    domain: Literal["general", "health", "legal", "finance"] = "general"
    """Which principles of the package."""

    principles: str | None = None
    """A file of principles of your own in place of these: a YAML list of {id, principle, critique, revision}."""

    revisions: int = Field(default=2, ge=1, le=16)
    """Times that an answer is criticized, each time by another principle, drawn by the seed, and revised if the
    critique finds a fault."""

    faultless: Literal["keep", "drop"] = "keep"
    """What becomes of an answer in which no critique found a fault: kept as it is, as the student's own, or left
    out."""

    max_tokens: int = Field(default=256, ge=32)
    """Longest critique, in tokens, with the JSON around it; answers and revisions have ``construct.max_tokens``."""

    retries: int = Field(default=1, ge=0)
    """How often a critique that could not be read is asked for again, with what was wrong."""

    @property
    def taught(self) -> bool:
        """Whether it asks the teacher."""
        return self.by == "teacher"
