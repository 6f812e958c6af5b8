"""What sources have in common whose instructions a model writes from those of experts."""

from typing import Literal

from pydantic import Field, field_validator

from tutelage.recipe.sources.base import SourceSection
from tutelage.text.languages import NAMES


class SelfImprovementSource(SourceSection):
    """Instructions that come of other instructions."""

    by: Literal["student", "teacher"] = "student"
    """Who writes: the student of the round, as in the paper (the rows are of self-improvement), or the teacher of
    ``construct.distill`` (of distillation)."""

    seeds: str | None = Field(default=None, min_length=1)
    """Where it begins: a file of seed tasks, JSON Lines with id, instruction and instances ([{input, output}]), name
    and is_classification where known, as Self-Instruct published its own. Null: the experts' demonstrations of the
    recipe, those of safety and those longer than 800 characters aside."""

    language: str = "en"
    """The language of all that is written (ISO 639-1); what clearly reads as another is left out."""

    max_tokens: int = Field(default=512, ge=32)
    """Longest text that is written, in tokens, with the JSON around it."""

    retries: int = Field(default=1, ge=0)
    """How often is asked again at once where a reply is not of the form. What a filter drops is not asked for again."""

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
