"""The files of a user's own that a recipe names: what a run is made of, beside the recipe itself."""

from collections.abc import Iterator
from pathlib import Path

from tutelage.recipe.curate import CustomStep
from tutelage.recipe.recipe import Recipe
from tutelage.recipe.reflect import CustomPlanner
from tutelage.recipe.rows import RowsSection
from tutelage.recipe.tasks import CustomTaskSection


def input_files(recipe: Recipe) -> dict[str, Path]:
    """Return the files of rows, of code (``file.py:name``) and of the chat template, by name as the recipe writes it.

    They need not be there. Installed modules (``package.module:name``) are not among them, nor are files that the
    user's code opens or imports by itself, nor the model, which a run compares by its digest when it opens it.
    """
    return {name: recipe.folder / name for name in sorted(set(_names(recipe)))}


def _names(recipe: Recipe) -> Iterator[str]:
    if isinstance(recipe.model.template, Path):
        yield str(recipe.model.template)
    for task in recipe.tasks:
        match task:
            case RowsSection():
                yield task.path
                for check in (task.check or "", *task.checks.values()):
                    yield from _code(check.removeprefix("path:").strip())
            case CustomTaskSection():
                yield from _code(task.path)
            case _:
                continue
    for step in recipe.curate.steps:
        if isinstance(step, CustomStep):
            yield from _code(step.path)
    if isinstance(recipe.reflect.planner, CustomPlanner):
        yield from _code(recipe.reflect.planner.path)


def _code(path: str) -> Iterator[str]:
    source = path.rpartition(":")[0]
    if source.endswith(".py"):
        yield source
