"""Who teaches in a recipe, where the test items are asked of the teacher as well (``controls.teacher``)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tutelage.recipe.objectives import teaching_of
from tutelage.recipe.teacher import ModelTeacher, SelfTeacher, Teacher

if TYPE_CHECKING:
    from tutelage.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Teaching:
    """Who teaches, and how many expert demonstrations stand in its prompt."""

    by: Teacher
    shots: int


def who_teaches(recipe: "Recipe") -> Teaching | None:
    """Return who answers for the student to learn from; where nobody does, whose logits it learns from; else None."""
    section, kd = recipe.construct.distill, teaching_of(recipe.tune.objective)
    if section is not None:
        return Teaching(section.teacher, section.shots if recipe.construct.expert is not None else 0)
    return Teaching(ModelTeacher(kind="model", id=kd.teacher, revision=kd.revision), 0) if kd is not None else None


def not_a_rival(recipe: "Recipe") -> str:
    """Return why the teacher of ``recipe`` cannot be a control; empty where it can."""
    found, model = who_teaches(recipe), recipe.model
    if found is None:
        return "nobody teaches: construct.distill is null, and tune.objective has no teacher"
    itself = isinstance(found.by, SelfTeacher) or (
        isinstance(found.by, ModelTeacher) and (found.by.id, found.by.revision) == (model.id, model.revision)
    )
    if itself and not found.shots:
        return "the teacher is the start itself without a demonstration, and the start is scored in any case"
    return ""
