"""What a model may have learned of what it is asked, where no curation stands between: said, and nothing is dropped."""

from collections.abc import Mapping, Sequence

from tutelage.curate.build import build_steps
from tutelage.errors import TutelageError
from tutelage.pipeline.encoding import TrainingRow
from tutelage.pipeline.items import guarded_items
from tutelage.recipe import Recipe
from tutelage.recipe.curate import ContaminationStep, CurateSection
from tutelage.records import Example, Item, Preference, Split, UnpairedPreference, with_answer
from tutelage.tasks.build import build_tasks
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask

MAX_REASON = 300
"""Characters of a note that say why there is nothing to compare with."""


def shared_words(rows: Sequence[TrainingRow], recipe: Recipe) -> str:
    """Say how many rows share words with an item that models are scored on, by the recipe's own step for it.

    Such items are those of every probe, gate and test of the recipe, and all rows of a file that are not for training.
    """
    try:
        items = _measured(recipe, build_tasks(recipe.tasks, recipe.folder))
        own = (step for step in recipe.curate.steps if isinstance(step, ContaminationStep))
        section = next(own, ContaminationStep(kind="contamination"))
        step, *_ = build_steps(CurateSection(steps=(section,)), items, folder=recipe.folder)
    except TutelageError as error:
        reason = " ".join(str(error).split())[:MAX_REASON]
        return f"The rows were not compared with evaluation items: {reason}"
    dropped = step.apply([example for row in rows for example in _examples_of(row)]).dropped
    found = list({row.id: row for row in dropped}.values())
    others = "".join(f" and those of {one.called}" for one in section.against)
    compared = f"compared with {len(items):,} items of probe, gate and test of {recipe.name}{others}"
    if not found:
        return f"No row shares {section.ngram} words in a row with what models are scored on ({compared})."
    first = 1 + next(place for place, row in enumerate(rows) if row.id == found[0].id)
    remedy = "To leave them out, take them out of the file."
    if all(isinstance(row, Example) for row in rows):
        remedy = "To leave them out, first: tutelage curate FILE --recipe RECIPE -o FOLDER"
    return (
        f"{len(found):,} of {len(rows):,} rows share words with what models are scored on ({compared}), for example "
        f"row {first}: {found[0].reason.partition(': ')[2]}. They are trained on all the same, and a score on such "
        f"items shows what was remembered. {remedy}"
    )


def beyond_guarded(
    items: Sequence[Item], *, recipe: Recipe, tasks: Mapping[str, Task], split: Split, per_cell: int
) -> str | None:
    """Say how many of the ``items`` no run of the recipe keeps out of its training rows; None if it keeps out all."""
    section = recipe.evaluate
    numbers: dict[Split, int] = {"probe": section.probe, "gate": section.gate, "test": section.test}
    if per_cell <= numbers.get(split, 0):
        return None
    guarded = {item.id for item in guarded_items(recipe, tasks)}
    others = sum(item.id not in guarded for item in items)
    if not others:
        return None
    drawn = f"draws {numbers[split]} a cell from {split}" if split in numbers else f"learns from {split}"
    return (
        f"{others:,} of the {len(items):,} items were not guarded against contamination, since {recipe.name} {drawn}: "
        "a tuned model may have learned them."
    )


def _examples_of(row: TrainingRow) -> list[Example]:
    """A row as the conversations that it holds, under its own id."""
    match row:
        case Example():
            return [row]
        case Preference():
            return [with_answer(row, row.chosen), with_answer(row, row.rejected)]
        case UnpairedPreference():
            return [with_answer(row, row.answer)]
        case Item():
            return []  # asked, not learned from


def _measured(recipe: Recipe, tasks: Mapping[str, Task]) -> list[Item]:
    found = {item.id: item for item in guarded_items(recipe, tasks)}
    for task in tasks.values():
        if isinstance(task, RowsTask):
            found |= {item.id: item for item in task.all_items if item.split != "train"}
    return list(found.values())
