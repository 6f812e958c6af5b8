"""From the tasks section of a recipe to task objects, and the demonstrations that belong to them."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol, runtime_checkable

from tutelage.errors import InputErrors, Problem, RecipeError, TutelageError
from tutelage.recipe.custom import in_words, load_object, make
from tutelage.recipe.rows import RowsSection
from tutelage.recipe.tasks import ConstraintsSection, CustomTaskSection, GroundedSection, SafetySection, TaskSection
from tutelage.records import Demonstration
from tutelage.records.jsonl import read_records
from tutelage.tasks.constraints import Constraints
from tutelage.tasks.grounded import Grounded
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.safety import Safety


@runtime_checkable
class Demonstrated(Protocol):
    """A task that brings demonstrations of its own."""

    def demonstrations(self) -> list[Demonstration]:
        """Return answers that experts wrote to items of the train split."""
        ...


def build_tasks(sections: Sequence[TaskSection], folder: Path) -> dict[str, Task]:
    """Return the tasks by name; relative paths are relative to ``folder``.

    Raises
    ------
    RecipeError: two tasks of one name, or an object that is not a task.
    DataError: rows that cannot be used.
    """
    found: dict[str, Task] = {}
    problems: list[Problem] = []
    for index, section in enumerate(sections):
        where = f"tasks.{index}"
        try:
            task = _build(section, folder)
        except InputErrors as error:
            problems += [Problem(p.what, p.where or where, p.received, p.remedy) for p in error.problems]
            continue
        except TutelageError as error:
            p = error.problem
            problems.append(Problem(p.what, f"{where}: {p.where}" if p.where else where, p.received, p.remedy))
            continue
        if task.name in found:
            problems.append(Problem("two tasks have this name", where, task.name, "give one of them another name"))
        found[task.name] = task
    if problems:
        raise RecipeError("tasks", problems)
    return found


def _build(section: TaskSection, folder: Path) -> Task:
    match section:
        case ConstraintsSection():
            return Constraints()
        case GroundedSection():
            return Grounded()
        case SafetySection():
            return Safety(section.harmless_share)
        case RowsSection():
            return RowsTask(section, folder)
        case CustomTaskSection():
            return _custom(section, folder)


def _custom(section: CustomTaskSection, folder: Path) -> Task:
    maker = load_object(section.path, folder)
    if not callable(maker):
        raise TutelageError("this is neither a class nor a function", where=section.path, received=repr(maker))
    task = make(maker, section.options, section.path)
    if not isinstance(task, Task):
        lacking = [
            name for name in ("name", "dimension", "levels", "items", "check", "audit") if not hasattr(task, name)
        ]
        raise TutelageError(
            "what it returns is not a task",
            where=section.path,
            received=f"a {type(task).__name__} without {', '.join(lacking)}",
            remedy="see tutelage.tasks.Task",
        )
    return task


def demonstrations_of(tasks: Sequence[Task]) -> list[Demonstration]:
    """Return every expert demonstration of ``tasks``: their own, or those in this package."""
    found: list[Demonstration] = []
    for task in tasks:
        if isinstance(task, Demonstrated):
            with in_words(f"the demonstrations of the task {task.name}", task):
                found += task.demonstrations()
        elif isinstance(task, Constraints | Grounded | Safety):
            file = files("tutelage.tasks") / "demonstrations" / f"{task.name}.jsonl"
            found += read_records(Path(str(file)), Demonstration)
    return found
