"""Which rows are kept: the steps of curation, in their order. A step's settings stand beside others of its kind:

| file | steps |
| --- | --- |
| ``filters`` | what a row must be by itself, or beside the items of evaluation |
| ``texts`` | how a row is written, in which language, what it gives away |
| ``duplicates`` | one of rows that say the same |
| ``selection`` | rows by their difficulty, and rows that are unlike one another |
| ``embedding`` | what texts are compared by |
| ``mix`` | how much of each |
| ``needs`` | which steps need a model or files |
"""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from tutelage.recipe.base import Section
from tutelage.recipe.curate.duplicates import ExactDuplicatesStep, NearDuplicatesStep, SemanticDuplicatesStep
from tutelage.recipe.curate.filters import BenchmarkSection, ContaminationStep, QualityStep, ValidateStep
from tutelage.recipe.curate.mix import MixStep, MixtureStep
from tutelage.recipe.curate.selection import (
    FacilityLocationStep,
    IfdStep,
    KCenterStep,
    PerplexityStep,
    ScoreFirstStep,
)
from tutelage.recipe.curate.texts import HeuristicsStep, LanguageStep, NormalizeStep, PiiStep

__all__ = [
    "BenchmarkSection",
    "ContaminationStep",
    "CurateSection",
    "CurateStep",
    "CustomStep",
    "ExactDuplicatesStep",
    "FacilityLocationStep",
    "HeuristicsStep",
    "IfdStep",
    "KCenterStep",
    "LanguageStep",
    "LossSection",
    "MixStep",
    "MixtureStep",
    "NearDuplicatesStep",
    "NormalizeStep",
    "PerplexityStep",
    "PiiStep",
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
    | NormalizeStep
    | LanguageStep
    | PiiStep
    | ExactDuplicatesStep
    | NearDuplicatesStep
    | SemanticDuplicatesStep
    | ContaminationStep
    | QualityStep
    | HeuristicsStep
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

CHOOSING = IfdStep | PerplexityStep | KCenterStep | FacilityLocationStep | ScoreFirstStep
"""Steps that may keep a share of the rows."""

DEFAULT_STEPS: tuple[CurateStep, ...] = (
    ValidateStep(kind="validate"),
    ExactDuplicatesStep(kind="exact_duplicates"),
    NearDuplicatesStep(kind="near_duplicates"),
    ContaminationStep(kind="contamination"),
    QualityStep(kind="quality"),
    MixStep(kind="mix"),
)


class LossSection(Section):
    """How many rows curation may drop before it fails: nothing is written then, and the error tells which step dropped
    what. A number alone is ``overall``."""

    overall: float = Field(default=1.0, ge=0, le=1)
    """Largest share of all rows; 1 = any number."""

    step: float = Field(default=1.0, ge=0, le=1)
    """Largest share of the rows that reach a step, for each step that ``steps`` does not name."""

    steps: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """The same by the name of a step, such as ``{contamination: 0.02, mix: 1}``."""


class CurateSection(Section):
    """Curation: a list of steps; every row that one of them drops keeps its reason."""

    steps: tuple[CurateStep, ...] = DEFAULT_STEPS
    """The steps, in their order."""

    max_loss: LossSection = LossSection()
    """How many rows may be dropped before curation fails."""

    @field_validator("max_loss", mode="before")
    @classmethod
    def _a_number_is_of_all(cls, given: object) -> object:
        return {"overall": given} if isinstance(given, int | float) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _chooses_less_than_may_go(self) -> Self:
        for step in self.steps:
            if not isinstance(step, CHOOSING) or step.share is None:
                continue
            limit = min(self.max_loss.overall, self.max_loss.steps.get(step.kind, self.max_loss.step))
            if 1 - step.share > limit + 1e-9:
                raise ValueError(
                    f"max_loss: {step.kind} keeps {step.share:g} of the rows, and at most {limit:g} of them may go; "
                    "allow as much as is chosen away, or curate first and choose in a curation of its own"
                )
        return self

    @model_validator(mode="after")
    def _limits_are_of_steps(self) -> Self:
        names = [step.kind for step in self.steps]
        if "custom" in names:  # such a step has a name of its own, which only its code knows
            return self
        for name in self.max_loss.steps:
            if name not in names:
                raise ValueError(f"max_loss.steps: there is no step {name!r}; there are: {', '.join(names)}")
        return self
