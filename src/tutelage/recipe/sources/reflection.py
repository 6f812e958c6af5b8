"""Reflection on existing rows as a source of new ones: which rows, what of them is rewritten, and by whom."""

from typing import Literal

from pydantic import Field, field_validator

from tutelage.recipe.sources.base import SourceSection

Part = Literal["instruction", "response"]


class ReflectionSource(SourceSection):
    """Rows that are there already, reflected on and written anew: first the instruction with an answer to it, then the
    answer alone (Reflection-Tuning, Li et al. 2023)."""

    kind: Literal["reflection"]

    path: str
    """A file of rows in any form, relative to the recipe. Rows with more than one answer are left out."""

    rows: int | None = Field(default=64, ge=1)
    """At most this many rows a round; the next round takes the next ones, in an order drawn by the seed. Null takes all
    in every round."""

    by: Literal["student", "teacher"] = "teacher"
    """Who reflects: the ``teacher`` of ``construct.distill``, as in the paper, or the ``student`` itself."""

    parts: tuple[Part, ...] = ("instruction", "response")
    """What is rewritten, in this order. ``[response]`` keeps every instruction as it is."""

    originals: Literal["drop", "better"] = "drop"
    """What becomes of a row that was reflected on: left out, or kept in place of what came of it where
    ``construct.judge`` passes it and scores it higher (``better``)."""

    max_tokens: int = Field(default=768, ge=64)
    """Longest reply, in tokens: reflection, instruction, answer and the JSON around them."""

    retries: int = Field(default=1, ge=0)
    """How often a reply that could not be used is asked for again, with what was wrong."""

    @property
    def taught(self) -> bool:
        """Whether it asks the teacher."""
        return self.by == "teacher"

    @field_validator("parts")
    @classmethod
    def _in_order(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if parts not in (("instruction", "response"), ("instruction",), ("response",)):
            raise ValueError("name instruction, response, or both in this order")
        return parts
