"""Which items a run draws from each split: a pure function of its recipe, known before anything is answered."""

from collections.abc import Mapping

from tutelage.evaluate.run import draw_items
from tutelage.recipe import Recipe
from tutelage.records import Item, Split
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task

Tasks = Mapping[str, Task]


def probe_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """The items that steer the plan, the same in every round."""
    return draw_items(tasks, "probe", recipe.evaluate.probe, seed=derive_seed(recipe.seed, "probe items"))


def gate_items(recipe: Recipe, tasks: Tasks, round: int) -> list[Item]:
    """The gate's items of a round: fresh ones each round."""
    return draw_items(tasks, "gate", recipe.evaluate.gate, seed=derive_seed(recipe.seed, "gate items", round))


def test_items(recipe: Recipe, tasks: Tasks, per_cell: int | None = None) -> list[Item]:
    """The items of the test split, the same for every model of the run; fewer a cell are the first of these."""
    number = recipe.evaluate.test if per_cell is None else per_cell
    return draw_items(tasks, "test", number, seed=derive_seed(recipe.seed, "test items"))


def guarded_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """Every item of the run that no training row may contain: probe, test, and the gate of every round."""
    found = [*probe_items(recipe, tasks), *test_items(recipe, tasks)]
    for round in range(1, recipe.rounds + 1):
        found += gate_items(recipe, tasks, round)
    return found


def split_items(recipe: Recipe, tasks: Tasks, split: Split, per_cell: int) -> list[Item]:
    """``per_cell`` items a cell of any split; of probe, gate (its first round) and test those that the run takes."""
    match split:
        case "test":
            return test_items(recipe, tasks, per_cell)
        case "gate":
            return draw_items(tasks, "gate", per_cell, seed=derive_seed(recipe.seed, "gate items", 1))
        case _:
            return draw_items(tasks, split, per_cell, seed=derive_seed(recipe.seed, f"{split} items"))
