"""``tutelage recipe validate | show | schema``."""

import json as json_module
from pathlib import Path

import yaml

from tutelage.cli.console import say, say_json
from tutelage.pipeline.items import refuse_unknown_names
from tutelage.recipe import Recipe, load_recipe
from tutelage.tasks.build import build_tasks


def validate_command(path: Path, settings: list[str], *, json: bool) -> None:
    """Check the recipe, the tasks it names, the guards it sets and the facets it caps."""
    recipe = load_recipe(path, settings)
    tasks = build_tasks(recipe.tasks, recipe.folder)
    refuse_unknown_names(recipe, tasks)
    if json:
        say_json({"valid": True, "name": recipe.name, "tasks": list(tasks), "model": recipe.model.id})
    else:
        rounds = f"{recipe.rounds} round{'' if recipe.rounds == 1 else 's'}"
        say(f"{path} is valid: {rounds} on {', '.join(tasks)}, model {recipe.model.id}")


def show_command(path: Path, settings: list[str], *, json: bool) -> None:
    """Print the resolved recipe."""
    resolved = load_recipe(path, settings).model_dump(mode="json", exclude={"folder"})
    if json:
        say_json(resolved)
    else:
        say(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).rstrip())


def schema_command() -> None:
    """Print the JSON schema."""
    say_json(json_module.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))
