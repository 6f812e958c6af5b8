"""``tutelage recipe validate | show | schema``."""

import json as json_module
from pathlib import Path
from typing import Any

import yaml

from tutelage.cli.console import say, say_json
from tutelage.errors import DataError
from tutelage.models.four_bit import require_bitsandbytes
from tutelage.models.template_file import require_template, template_of
from tutelage.pipeline.items import stopping_items
from tutelage.pipeline.preflight import preflight
from tutelage.recipe import Recipe, load_recipe
from tutelage.recipe.contradictions import idle_settings
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.methods import wants_four_bits
from tutelage.recipe.tune import TorchOptimizer
from tutelage.tasks.build import build_tasks


def validate_command(path: Path, settings: list[str], *, json: bool) -> None:
    """Check the recipe and all that it names, but for the key of an endpoint: who writes a recipe may not have it."""
    recipe = load_recipe(path, settings)
    if recipe.tune.data is not None:
        _validate_rows(path, recipe, json=json)
        return
    if isinstance(recipe.tune.objective, GrpoObjective):
        _validate_asking(path, recipe, recipe.tune.objective, json=json)
        return
    tasks = preflight(recipe, keys=False)
    look_for_optimizer(recipe)
    if json:
        say_json({"valid": True, "name": recipe.name, "tasks": list(tasks), "model": recipe.model.id})
    else:
        rounds = f"{recipe.rounds} round{'' if recipe.rounds == 1 else 's'}"
        say(f"{path} is valid: {rounds} on {', '.join(tasks)}, model {recipe.model.id}")


def _validate_rows(path: Path, recipe: Recipe, *, json: bool) -> None:
    """Check a recipe for ``tutelage tune`` alone."""
    from tutelage.pipeline.hub_rows import rows_file
    from tutelage.pipeline.own_rows import read_training_rows

    assert recipe.tune.data is not None
    try:
        found = rows_file(recipe.tune.data, recipe.folder, offline=True)  # nothing is fetched for being looked at
    except DataError:
        rows, said = [], f"{recipe.tune.data.named} (not fetched yet, so not looked at)"
    else:
        rows = read_training_rows(found.file, recipe.tune.objective.rows)
        said = f"{len(rows):,} rows of {found.name}"
    stopping_items(recipe, build_tasks(recipe.tasks, recipe.folder), recipe.tune.early_stopping)
    _look_for_parts(recipe)
    if json:
        say_json({"valid": True, "name": recipe.name, "rows": len(rows), "model": recipe.model.id})
    else:
        say(f"{path} is valid: {said}, model {recipe.model.id}")


def _validate_asking(path: Path, recipe: Recipe, objective: GrpoObjective, *, json: bool) -> None:
    """Check a recipe for ``tutelage tune`` alone, whose tasks are asked while the model is tuned."""
    from tutelage.pipeline.asking import asked_items

    tasks_of_recipe = build_tasks(recipe.tasks, recipe.folder)
    items = asked_items(recipe, objective, tasks_of_recipe)
    stopping_items(recipe, tasks_of_recipe, recipe.tune.early_stopping)
    _look_for_parts(recipe)
    if json:
        say_json({"valid": True, "name": recipe.name, "prompts": len(items), "model": recipe.model.id})
    else:
        tasks = ", ".join(dict.fromkeys(item.task for item in items))
        say(f"{path} is valid: {len(items):,} prompts of {tasks}, model {recipe.model.id}")


def _look_for_parts(recipe: Recipe) -> None:
    """Look for what a tuning alone needs: chat template, packages, optimizer."""
    if (template := template_of(recipe.model, recipe.folder)) is not None:
        require_template(template)
    if wants_four_bits(recipe.tune.method):
        require_bitsandbytes()
    look_for_optimizer(recipe)


def look_for_optimizer(recipe: Recipe) -> None:
    """Look for an optimizer of torch by its name; the others are known, and torch takes its time to load."""
    if isinstance(recipe.tune.optimizer, TorchOptimizer):
        from tutelage.tune.training.optimizers import check_optimizer

        check_optimizer(recipe.tune)


def show_command(path: Path, settings: list[str], *, json: bool) -> None:
    """Print the resolved recipe, without the defaults that apply to nothing."""
    recipe = load_recipe(path, settings)
    resolved = recipe.model_dump(mode="json", exclude={"folder"})
    for setting in idle_settings(recipe):
        section: Any = resolved
        for part in setting.place[:-1]:
            section = section[part]
        del section[setting.place[-1]]
    if json:
        say_json(resolved)
    else:
        say(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).rstrip())


def schema_command() -> None:
    """Print the JSON schema."""
    say_json(json_module.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))
