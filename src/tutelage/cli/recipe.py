"""``tutelage recipe validate | show | schema``."""

import json as json_module
from pathlib import Path

import yaml

from tutelage.cli.console import OUT
from tutelage.recipe import Recipe, load_recipe
from tutelage.tasks.build import build_tasks


def validate_command(path: Path, settings: list[str]) -> None:
    """Check the recipe and the tasks it names."""
    recipe = load_recipe(path, settings)
    tasks = build_tasks(recipe.tasks, recipe.folder)
    OUT.print(f"{path} is valid: {recipe.rounds} rounds on {', '.join(tasks)}, model {recipe.model.id}", soft_wrap=True)


def show_command(path: Path, settings: list[str], *, json: bool) -> None:
    """Print the resolved recipe."""
    resolved = load_recipe(path, settings).model_dump(mode="json", exclude={"folder"})
    text = json_module.dumps(resolved, indent=2) if json else yaml.safe_dump(resolved, sort_keys=False)
    OUT.print(text, markup=False, soft_wrap=True)


def schema_command() -> None:
    """Print the JSON schema."""
    OUT.print(json_module.dumps(Recipe.model_json_schema(), indent=2), markup=False, soft_wrap=True)
