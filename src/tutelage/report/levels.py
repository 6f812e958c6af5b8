"""Which levels of difficulty were estimated, not stated: the page marks them wherever it shows them."""

from itertools import chain

from tutelage.recipe.rows import RowsSection
from tutelage.records import Item
from tutelage.report.reading import RunData


def estimated_tasks(data: RunData) -> set[str]:
    """Return the tasks whose levels were estimated, as the outcome names them; before it, as their items say."""
    if data.outcome is not None:
        return set(data.outcome.estimated_levels)
    return {item.task for item in _items(data) if is_estimated(item)}


def estimated_dimensions(data: RunData) -> set[str]:
    """Return the dimensions that hold such a task; one with another task beside it is marked as well."""
    tasks = estimated_tasks(data)
    return {task.dimension for task in data.recipe.tasks if isinstance(task, RowsSection) and task.name in tasks}


def is_estimated(item: Item) -> bool:
    """Return whether the level of an item was estimated."""
    return item.spec.get("level_estimated") is True


def _items(data: RunData) -> chain[Item]:
    lessons = (lesson.item for found in data.rounds for lesson in found.lessons)
    answered = (item for side in (data.before, data.after) if side for item, _, _ in side.rows)
    return chain(lessons, answered)
