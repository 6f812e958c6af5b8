"""What sources are given to work on: prompts of a file or of the recipe's tasks, those of a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tutelage.records import Conversation, Item, Level, TextPart
from tutelage.records.importers import import_prompts
from tutelage.seeds import derive_seed, stream
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked
from tutelage.tasks.verdicts import drawn, once

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """A prompt as an item, and its level, None where its file states none (the item then says basic).

    ``checked``: it is an item of one of the recipe's tasks, and not a row of a user's without a check.
    """

    item: Item
    level: Level | None
    checked: bool = False


def prompts_of_file(path: Path, kind: str) -> list[Given]:
    """Return the prompts in a file; those that name no task are of ``kind``.

    Raises what :func:`import_prompts` raises.
    """
    return [
        as_given(
            one.messages,
            id=one.id,
            task=one.task or kind,
            dimension=one.dimension,
            level=one.level,
            facet=one.facet,
            group=one.group or one.id,
        )
        for one in import_prompts(path)
    ]


def as_given(
    messages: Conversation, *, id: str, task: str, dimension: str, level: Level | None, facet: str, group: str
) -> Given:
    """Return a prompt of a user's own, which no task checks."""
    item = Item(
        id=id,
        task=task,
        dimension=dimension,
        level=level or "basic",
        split="train",
        messages=messages,
        group=group,
        facet=facet,
    )
    return Given(item, level)


def prompts_of_tasks(tasks: Mapping[str, Task], most: int, *, round: int, seed: int) -> list[Given]:
    """Return at most ``most`` train items, as many of each task and level. ``seed`` is the run's.

    Tasks that generate give new ones each round; of a user's rows the next round takes the next ones, checked or not.
    """
    cells = [(task, level) for task in tasks.values() for level in task.levels]
    found: list[Item] = []
    for place, (task, level) in enumerate(cells):
        number = most // len(cells) + (place < most % len(cells))
        path = ("given", task.name, level)
        if isinstance(task, RowsTask):
            there = [item for item in task.all_items if item.split == "train" and item.level == level]
            found += of_round(there, number, round=round, seed=derive_seed(seed, *path))
        elif number:
            found += drawn(task, "train", level, number, derive_seed(seed, *path, round))
    return [Given(item, item.level, checked=_can_be_checked(tasks[item.task], item)) for item in once(found)]


def _can_be_checked(task: Task, item: Item) -> bool:
    return is_checked(item) or not isinstance(task, RowsTask)


def of_round(entries: Sequence[T], most: int | None, *, round: int, seed: int, name: str = "given") -> list[T]:
    """Return the next ``most`` of a circle of ``entries``, each once; all of them where that is fewer.

    The circle is shuffled by the stream ``name`` of ``seed``.
    """
    order = list(entries)
    stream(seed, name).shuffle(order)
    count = len(order) if most is None else min(most, len(order))
    first = (round - 1) * count
    return [order[at % len(order)] for at in range(first, first + count)]


def is_text(messages: Conversation) -> bool:
    """Whether there is nothing but text in a conversation: no image, recording or call of a tool."""
    return all(
        message.role != "tool"
        and not message.tool_calls
        and all(isinstance(part, TextPart) for part in message.content)
        for message in messages
    )
