"""Which items a run draws from each split, and the rule of its gate: known before anything is answered."""

from collections.abc import Mapping

from tutelage.evaluate.run import draw_items
from tutelage.recipe import Recipe
from tutelage.records import Item, Level, Split
from tutelage.reflect.gate import GateRule
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked

Tasks = Mapping[str, Task]
CHANCE_REPEATS = 0.01
"""Share of gate items that may come twice in a run although the tasks make them without end."""


def probe_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """The items that steer the plan, the same in every round."""
    return draw_items(tasks, "probe", recipe.evaluate.probe, seed=derive_seed(recipe.seed, "probe items"))


def gate_items(recipe: Recipe, tasks: Tasks, round: int) -> list[Item]:
    """The gate's items of a round: fresh ones each round."""
    return draw_items(tasks, "gate", recipe.evaluate.gate, seed=derive_seed(recipe.seed, "gate items", round))


def final_items(recipe: Recipe, tasks: Tasks, per_cell: int | None = None) -> list[Item]:
    """The items of the test split, the same for every model of the run; fewer a cell are the first of these."""
    number = recipe.evaluate.test if per_cell is None else per_cell
    return draw_items(tasks, "test", number, seed=derive_seed(recipe.seed, "test items"))


def guarded_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """Every item of the run that no training row may contain: probe, test, and the gate of every round."""
    found = [*probe_items(recipe, tasks), *final_items(recipe, tasks)]
    for round in range(1, recipe.rounds + 1):
        found += gate_items(recipe, tasks, round)
    return found


def split_items(recipe: Recipe, tasks: Tasks, split: Split, per_cell: int) -> list[Item]:
    """``per_cell`` items a cell of any split; of probe, gate (its first round) and test those that the run takes."""
    match split:
        case "test":
            return final_items(recipe, tasks, per_cell)
        case "gate":
            return draw_items(tasks, "gate", per_cell, seed=derive_seed(recipe.seed, "gate items", 1))
        case _:
            return draw_items(tasks, split, per_cell, seed=derive_seed(recipe.seed, f"{split} items"))


def gate_rule(recipe: Recipe, tasks: Tasks) -> GateRule:
    """The rule of a run: rows come to an end, so that their gate asks the same ones in every round and must say so."""
    section = recipe.reflect.gate
    rounds = rounds_of(recipe, tasks)
    drawn = [item.id for round in range(1, rounds + 1) for item in gate_items(recipe, tasks, round)]
    return GateRule(
        confidence=section.confidence,
        margin=section.margin,
        resamples=section.resamples,
        rounds=rounds,
        fresh=len(drawn) - len(set(drawn)) <= CHANCE_REPEATS * len(drawn),
    )


def rounds_of(recipe: Recipe, tasks: Tasks) -> int:
    """How many rounds can differ: only one, where no answer can be checked and every round has the same rows."""
    sampled = any(can_be_sampled(task, level) for task in tasks.values() for level in task.levels)
    return recipe.rounds if sampled else 1


def can_be_sampled(task: Task, level: Level) -> bool:
    """Whether the task has anything to learn from at a level that a check could accept."""
    return bool(task.items("train", level, 1, 0))


def is_scored(tasks: Tasks, item: Item) -> bool:
    """Whether an answer to the item can get a score: not where it is a user's row without a check."""
    return is_checked(item) or not isinstance(tasks[item.task], RowsTask)
