"""Instructions to order as a source of rows: which cells, by whom, about what, how they are checked."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tutelage.recipe.base import Section
from tutelage.recipe.sources.base import SourceSection
from tutelage.records import Level
from tutelage.text.languages import NAMES

DEFINED = ("instruction_following", "faithfulness", "safety", "utility", "generalization")
"""Dimensions that need no definition in a recipe."""
REFUSALS_IN = "en"
"""The language in which a program knows a refusal."""


class CellSection(Section):
    """A cell of the matrix that rows are ordered for."""

    dimension: str
    """instruction_following, faithfulness, safety, utility, generalization, or one of ``dimensions``."""

    level: Level
    """How hard."""


class InstructionsSource(SourceSection):
    """New requests that the teacher writes to order, for cells of the matrix, and its answers to them. Each request is
    read again by somebody who does not know what was ordered; each answer is checked in its form by program, and in
    what it says by the judge, where the recipe has one."""

    kind: Literal["instructions"]

    rows: int = Field(default=64, ge=1)
    """Conversations ordered a round. Fewer come: what fails is ordered again ``passes`` times and then left out."""

    cells: Literal["planned", "every"] | tuple[CellSection, ...] = "planned"
    """What is ordered: ``planned`` follows the plan of the round, so that a weak cell gets what it lacks (``every``
    where the plan is empty); ``every`` spreads evenly over the dimensions of the recipe's tasks and all levels; or a
    list of {dimension, level}, evenly."""

    dimensions: dict[str, str] = Field(default={})
    """What requests of a dimension of your own are, by its name: the teacher and the reader are told the same."""

    topics: tuple[str, ...] | str | None = None
    """What requests are about, in turn: a list, or a text file with one a line. Null: forty everyday subjects that come
    with the package."""

    personas: tuple[str, ...] | str | int | None = None
    """Who asks, in turn: a list, a text file with one a line, or a number: the teacher first writes so many different
    ones. Null: nobody in particular."""

    languages: tuple[str, ...] = (REFUSALS_IN,)
    """Languages of the requests, in turn (ISO 639-1). Safety is asked for in English alone: a program knows refusals in
    no other language."""

    seeds: int = Field(default=3, ge=0, le=20)
    """Expert demonstrations whose requests are shown as examples of style, of the ordered dimension where there are
    some. What comes too near to any of them is not kept (``novelty``)."""

    turns: int = Field(default=1, ge=1, le=20)
    """Requests of a conversation at most. Those after the first are written by the teacher as the user, who sees the
    conversation and may end it. All answers are learned."""

    samples: int = Field(default=2, ge=1)
    """Answers to each request, of which the best is kept: what fails its checks never, then by the judge, if there is
    one, then what repeats itself least."""

    assessor: Literal["teacher", "judge"] | None = None
    """Who reads each request without knowing the order and says which dimension and level it is of. Null: the model of
    ``construct.judge``, or the teacher where there is no judge."""

    mismatch: Literal["drop", "relabel"] = "drop"
    """What becomes of a request that is read as of another cell: left out, or kept for the cell that it was read as."""

    temperature: float = Field(default=0.8, gt=0)
    """Sampling temperature of requests, personas and the user's turns; answers have ``construct.temperature``."""

    max_tokens: int = Field(default=512, ge=32)
    """Longest text of the teacher, in tokens: a request with its material and the JSON around them, or an answer."""

    retries: int = Field(default=1, ge=0)
    """How often the teacher is asked again at once, with what was wrong, where its request could not be used."""

    passes: int = Field(default=1, ge=0)
    """How often cells that came out short order what is missing once more."""

    novelty: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L that a request must stay below, to each one kept before it in the round and to each demonstration
    (Self-Instruct, Wang et al. 2023)."""

    @property
    def ordered(self) -> tuple[CellSection, ...]:
        """The cells that it names itself."""
        return self.cells if isinstance(self.cells, tuple) else ()

    def can_order(self, dimension: str) -> bool:
        """Whether requests of a dimension can be ordered and checked."""
        if dimension == "safety":
            return REFUSALS_IN in self.languages
        return dimension in DEFINED or dimension in self.dimensions

    @field_validator("personas", mode="before")
    @classmethod
    def _is_a_number_or_texts(cls, personas: object) -> object:
        if isinstance(personas, bool) or (isinstance(personas, int) and personas < 1):
            raise ValueError("give a list, a text file, or how many the teacher is to write, 1 or more")
        return personas

    @field_validator("topics", "personas")
    @classmethod
    def _names_something(cls, given: tuple[str, ...] | str | int | None) -> tuple[str, ...] | str | int | None:
        texts = given if isinstance(given, tuple) else (given,) if isinstance(given, str) else ("some",)
        if not texts or not all(text.strip() for text in texts):
            raise ValueError("none of them may be empty")
        return given

    @field_validator("languages")
    @classmethod
    def _are_known(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if not languages or len(set(languages)) < len(languages):
            raise ValueError("name one or more languages, each once")
        if unknown := [code for code in languages if code not in NAMES]:
            raise ValueError(f"{', '.join(unknown)} cannot be told from other languages; known are {', '.join(NAMES)}")
        return languages

    @field_validator("dimensions")
    @classmethod
    def _are_own(cls, dimensions: dict[str, str]) -> dict[str, str]:
        if taken := sorted(set(DEFINED) & dimensions.keys()):
            raise ValueError(f"{', '.join(taken)} is defined already; give a dimension of your own another name")
        if empty := sorted(name for name, text in dimensions.items() if not (name.strip() and text.strip())):
            raise ValueError(f"{', '.join(map(repr, empty))}: say what its requests are")
        return dimensions

    @model_validator(mode="after")
    def _cells_can_be_ordered(self) -> Self:
        if self.cells == ():
            raise ValueError("cells: name one or more, or planned, or every")
        for dimension in dict.fromkeys(cell.dimension for cell in self.ordered):
            if dimension == "safety" and not self.can_order(dimension):
                raise ValueError(
                    "cells: safety is ordered in English alone, where a program knows refusals, and languages lack en"
                )
            if not self.can_order(dimension):
                raise ValueError(f"cells: nobody knows what {dimension} is; say it under dimensions")
        if len({(cell.dimension, cell.level) for cell in self.ordered}) < len(self.ordered):
            raise ValueError("cells: each of them once")
        return self
