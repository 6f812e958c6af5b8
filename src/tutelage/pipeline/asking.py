"""What the model is asked while it is tuned, and who scores its answers: the tasks of the recipe, by their check."""

from collections.abc import Mapping, Sequence

from tutelage.errors import Problem, RecipeError
from tutelage.files import sha256_file
from tutelage.pipeline.items import stopping_items, unknown_levels
from tutelage.recipe import Recipe
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.inputs import input_files
from tutelage.recipe.tune import TuneSection
from tutelage.records import Answer, Item, Verdict, content_id
from tutelage.seeds import derive_seed
from tutelage.tasks.build import build_tasks
from tutelage.tasks.protocol import Task
from tutelage.tasks.verdicts import checked, drawn, once
from tutelage.tune import Probe, Reward


def asked_items(recipe: Recipe, section: GrpoObjective, tasks: Mapping[str, Task]) -> list[Item]:
    """Return ``section.prompts`` train items of each level of each task; fewer where a user's rows have no more.

    Raises
    ------
    RecipeError: no task has a level that is asked for, or anything to ask that a check can judge.
    """
    if problems := unknown_levels(section.levels, tasks, "tune.objective.levels"):
        raise RecipeError(recipe.name, problems)
    found = [
        item
        for name, task in tasks.items()
        for level in task.levels
        if section.levels is None or level in section.levels
        for item in drawn(task, "train", level, section.prompts, derive_seed(recipe.seed, "asked", name, level))
    ]
    if not found:
        remedy = "give rows a check, and the train split a share of them"
        raise RecipeError(
            recipe.name, [Problem("the tasks have nothing to ask that can be checked", "tasks", "", remedy)]
        )
    return once(found)


def identity_of(recipe: Recipe) -> str:
    """Return a hash of what decides the scores: the sections of the tasks, and the user's files that they name."""
    files = [f"{name} {sha256_file(file)}" for name, file in input_files(recipe).items() if file.is_file()]
    return content_id([task.model_dump_json() for task in recipe.tasks], *files)


def reward_of(tasks: Mapping[str, Task], identity: str = "") -> Reward:
    """Return what scores answers by the check of each item's task."""

    def reward(items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        found: dict[int, Verdict] = {}
        for name in dict.fromkeys(item.task for item in items):
            own = [at for at, item in enumerate(items) if item.task == name]
            verdicts = checked(tasks[name], [items[at] for at in own], [answers[at] for at in own])
            found |= dict(zip(own, verdicts, strict=True))
        return [found[at] for at in range(len(items))]

    return Reward(reward, identity)


def probe_of(recipe: Recipe, section: TuneSection, tasks: Mapping[str, Task] | None = None) -> Probe | None:
    """Return what early stopping asks and who scores the answers; None without it. ``tasks`` are those of the recipe
    where they are built already.

    Raises
    ------
    RecipeError: there is nothing to ask that a check can score.
    """
    if section.early_stopping is None:
        return None
    tasks = build_tasks(recipe.tasks, recipe.folder) if tasks is None else tasks
    items = stopping_items(recipe, tasks, section.early_stopping)
    return Probe(items, reward_of(tasks, identity_of(recipe)))
