"""Which rows are kept: the steps of curation, in their order. A step's settings stand beside others of its kind:

| file | steps |
| --- | --- |
| ``filters`` | what a row must be by itself, or beside the items of evaluation |
| ``duplicates`` | one of rows that say the same |
| ``selection`` | rows by their difficulty, and rows that are unlike one another |
| ``embedding`` | what texts are compared by |
| ``mix`` | how much of each |
| ``needs`` | which steps need a model or files |
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tutelage.recipe.base import Section
from tutelage.recipe.curate.duplicates import ExactDuplicatesStep, NearDuplicatesStep, SemanticDuplicatesStep
from tutelage.recipe.curate.filters import ContaminationStep, QualityStep, ValidateStep
from tutelage.recipe.curate.mix import MixStep, MixtureStep
from tutelage.recipe.curate.selection import (
    FacilityLocationStep,
    IfdStep,
    KCenterStep,
    PerplexityStep,
    ScoreFirstStep,
)

__all__ = [
    "ContaminationStep",
    "CurateSection",
    "CurateStep",
    "CustomStep",
    "ExactDuplicatesStep",
    "FacilityLocationStep",
    "IfdStep",
    "KCenterStep",
    "MixStep",
    "MixtureStep",
    "NearDuplicatesStep",
    "PerplexityStep",
    "QualityStep",
    "ScoreFirstStep",
    "SemanticDuplicatesStep",
    "ValidateStep",
]


class CustomStep(Section):
    """A step of one's own: a class or function that returns a ``tutelage.curate.Step``."""

    kind: Literal["custom"]

    path: str
    """``package.module:name`` or ``file.py:name``, relative to the recipe."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments."""


CurateStep = Annotated[
    ValidateStep
    | ExactDuplicatesStep
    | NearDuplicatesStep
    | SemanticDuplicatesStep
    | ContaminationStep
    | QualityStep
    | IfdStep
    | PerplexityStep
    | KCenterStep
    | FacilityLocationStep
    | ScoreFirstStep
    | MixStep
    | MixtureStep
    | CustomStep,
    Field(discriminator="kind"),
]

DEFAULT_STEPS: tuple[CurateStep, ...] = (
    ValidateStep(kind="validate"),
    ExactDuplicatesStep(kind="exact_duplicates"),
    NearDuplicatesStep(kind="near_duplicates"),
    ContaminationStep(kind="contamination"),
    QualityStep(kind="quality"),
    MixStep(kind="mix"),
)


class CurateSection(Section):
    """Curation: a list of steps; every row that one of them drops keeps its reason."""

    steps: tuple[CurateStep, ...] = DEFAULT_STEPS
    """The steps, in their order."""
