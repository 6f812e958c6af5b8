"""What is meant where no recipe says it."""

from tutelage.recipe import Recipe
from tutelage.recipe.model import ModelSection
from tutelage.recipe.tasks import ConstraintsSection, GroundedSection, SafetySection

PACKAGE_TASKS = (
    ConstraintsSection(kind="constraints"),
    GroundedSection(kind="grounded"),
    SafetySection(kind="safety"),
)


def recipe_for(model: ModelSection | str) -> Recipe:
    """Return a recipe of defaults for a model: the three tasks that come with the package."""
    section = ModelSection(id=model) if isinstance(model, str) else model
    return Recipe(name="defaults", model=section, tasks=PACKAGE_TASKS)


def with_tasks(recipe: Recipe) -> Recipe:
    """Return ``recipe``, with the three tasks that come with the package if it has none."""
    return recipe if recipe.tasks else recipe.model_copy(update={"tasks": PACKAGE_TASKS})
