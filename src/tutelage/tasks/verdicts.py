"""Asking a task for items and for what it says of answers, in one place.

What never came is unscored, every answer gets a verdict, and what a task of a user's own raises is told in words.
"""

from collections.abc import Sequence

from tutelage.errors import TutelageError
from tutelage.recipe.custom import in_words
from tutelage.records import Answer, Item, Level, Split, Verdict
from tutelage.records.verdicts import unscored
from tutelage.tasks.protocol import Task


def drawn(task: Task, split: Split, level: Level, n: int, seed: int) -> list[Item]:
    """Return ``n`` items of the task."""
    with in_words(f"the items of the task {task.name}", task):
        return task.items(split, level, n, seed)


def checked(task: Task, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
    """Return the verdict of the task's check on each answer; see :func:`audited`."""
    given = _came(answers)
    with in_words(f"the check of the task {task.name}", task):
        found = task.check([items[at] for at in given], [answers[at] for at in given])
    return _placed(task, "check", given, found, answers)


def audited(task: Task, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
    """Return the verdict of the task's audit on each answer.

    An answer that an engine failed to give (``finish == "error"``) is unscored, never shown to the task. Raises
    :class:`TutelageError` when the task gives more or fewer verdicts than it was asked for.
    """
    given = _came(answers)
    with in_words(f"the audit of the task {task.name}", task):
        found = task.audit([items[at] for at in given], [answers[at] for at in given])
    return _placed(task, "audit", given, found, answers)


def _came(answers: Sequence[Answer]) -> list[int]:
    return [at for at, answer in enumerate(answers) if answer.finish != "error"]


def _placed(
    task: Task, what: str, given: Sequence[int], found: Sequence[Verdict], answers: Sequence[Answer]
) -> list[Verdict]:
    if len(found) != len(given):
        raise TutelageError(
            f"a task's {what} gives one verdict an answer",
            where=f"task {task.name}",
            received=f"{len(found)} verdicts on {len(given)} answers",
            remedy=f"mend its method {what}",
        )
    placed = dict(zip(given, found, strict=True))
    return [placed[at] if at in placed else unscored(answer.error) for at, answer in enumerate(answers)]
