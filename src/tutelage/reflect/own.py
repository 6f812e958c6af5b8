"""Planners of a user's own: ``function(cells, budget, *, floor, target, **options)``."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from tutelage.errors import TutelageError
from tutelage.recipe.custom import in_words, load_object
from tutelage.records.scores import CellState, Plan
from tutelage.reflect.plan import Policy


def load_planner(path: str, options: Mapping[str, JsonValue], folder: Path | None) -> Policy:
    """Return the planner that a path names, ``file.py:function`` or ``package.module:function``.

    Raises :class:`TutelageError` if there is no such function or it takes other arguments; what it raises when it is
    called is said in words.
    """
    made = load_object(path, folder)
    if not callable(made):
        raise TutelageError("a planner is a function", where=path, received=repr(made))
    try:
        inspect.signature(made).bind([], 0, floor=0, target=1.0, **options)
    except TypeError as error:
        remedy = "define it as function(cells, budget, *, floor, target), with what the recipe has under options"
        raise TutelageError(f"the planner takes other arguments: {error}", where=path, remedy=remedy) from error
    except ValueError:  # a function in C without a signature: the first call will tell
        pass

    def policy(cells: Sequence[CellState], budget: int, *, floor: int = 0, target: float = 1.0) -> Plan:
        with in_words(f"the planner {path}", made):
            found = made(cells, budget, floor=floor, target=target, **options)
        if not isinstance(found, Plan):
            raise TutelageError("a planner returns a Plan", where=path, received=type(found).__name__)
        return found

    return policy
