"""Whether a check still knows a right answer when reasons stand before it in one text, seen without a model.

The reasons are neutral ones of common length: no number, no name, nothing that another answer could be. A check of the
whole text does not pass them, and one with a limit of a few words does not either. That reasons may name another choice
is not seen here.
"""

from collections.abc import Mapping, Sequence

from tutelage.construct.given import Given, prompts_of_tasks
from tutelage.errors import Problem
from tutelage.records import Answer, Item
from tutelage.tasks.protocol import Task

MOST = 64
"""Train items of a task that are looked at."""
REASONS = (
    "First it is read what is asked for. Then everything that bears on it is gone through in order, one step after "
    "another, until nothing is left open. What this comes to is written down at the end."
)


def spoiled(task: Task, items: Sequence[Item]) -> tuple[int, int]:
    """Return for how many of ``items`` the known answer passes the check alone but not behind reasons, and how many
    have one that passes alone. Raises what the check of the task raises."""
    known = [item for item in items if (item.reference or "").strip()]
    alone = _passed(task, known, before="")
    whole = _passed(task, known, before=f"{REASONS}\n\n")
    return sum(one and not both for one, both in zip(alone, whole, strict=True)), sum(alone)


def count_spoiled(given: Sequence[Given], tasks: Mapping[str, Task]) -> str:
    """Return in words how many of the items of a round give no row under reasons; "" where all may."""
    counts = [spoiled(task, [one.item for one in given if one.item.task == name]) for name, task in tasks.items()]
    lost, known = sum(lost for lost, _ in counts), sum(known for _, known in counts)
    return f"of {known:,} known answers {lost:,} do not pass behind neutral reasons (place)" if lost else ""


def problem_of_place(task: Task, where: str) -> Problem | None:
    """Return what is wrong with reasons in the text of answers to ``task``; None where most of them can pass."""
    given = prompts_of_tasks({task.name: task}, MOST, round=1, seed=0)
    lost, known = spoiled(task, [one.item for one in given if one.checked])
    if 2 * lost <= known:
        return None
    what = "with reasons before it in one text, a right answer does not pass the check of its task"
    received = f"answer: {lost:,} of {known:,} known answers of the task {task.name} do not"
    return Problem(what, where, received, "write place: reasoning, or leave the task out (tasks)")


def _passed(task: Task, items: Sequence[Item], *, before: str) -> list[bool]:
    answers = [Answer(request_id=item.id, text=f"{before}{(item.reference or '').strip()}") for item in items]
    return [verdict.passed for verdict in task.check(items, answers)]
