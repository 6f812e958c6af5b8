"""Asking a task for items and for what it says of answers, in one place.

What never came is unscored, every answer gets a verdict, and what a task of a user's own raises is told in words.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from tutelage.errors import TutelageError
from tutelage.recipe.custom import in_words
from tutelage.records import Answer, Item, Level, Split, Verdict
from tutelage.records.verdicts import unscored
from tutelage.tasks.protocol import Task


def drawn(task: Task, split: Split, level: Level, n: int, seed: int) -> list[Item]:
    """Return ``n`` items of the task.

    Raises :class:`TutelageError` when two of them have one id, or one is of another task, split or level: answers and
    scores are told apart by the id, and what may be trained on by the split.
    """
    with in_words(f"the items of the task {task.name}", task):
        items = task.items(split, level, n, seed)
    for what, received in _faults(task, split, level, items):
        raise TutelageError(
            what, where=f"task {task.name}, {split}, {level}", received=received, remedy="mend its method items"
        )
    return items


def _faults(task: Task, split: Split, level: Level, items: Sequence[Item]) -> Iterable[tuple[str, str]]:
    """What is wrong with drawn items, and what was received."""
    counts = Counter(item.id for item in items)
    if twice := [name for name, number in counts.items() if number > 1]:
        yield "the items that a task draws have different ids", ", ".join(twice[:3])
    asked = {"task": task.name, "split": split, "level": level}
    for item in items:
        for name, wanted in asked.items():
            if (found := getattr(item, name)) != wanted:
                yield f"a task draws items of the {name} that it is asked for", f"{found} in the item {item.id}"


def once(items: Iterable[Item]) -> list[Item]:
    """Return every item once, in the order in which they first come.

    Raises :class:`TutelageError` when one id stands for two questions, or for one of two tasks: one of them would be
    left out, or get the other's answer.
    """
    found: dict[str, Item] = {}
    for item in items:
        first = found.setdefault(item.id, item)
        if (first.task, first.messages) != (item.task, item.messages):
            raise TutelageError(
                "two different items have one id",
                where=f"task {item.task}" if first.task == item.task else f"tasks {first.task} and {item.task}",
                received=item.id,
                remedy="make the id of the task's name and the whole question, as content_id does",
            )
    return list(found.values())


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
