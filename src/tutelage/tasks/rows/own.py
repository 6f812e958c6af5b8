"""Checks of a user's own: ``function(prompt, answer_text, reference, row)``."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import SupportsFloat

from tutelage.errors import TutelageError
from tutelage.recipe.custom import OWN_CODE_ERRORS, load_object
from tutelage.records import Item, Verdict, unscored
from tutelage.tasks.rows.checks import RowCheck

OwnCheck = Callable[..., object]


def load_check(path: str, folder: Path | None) -> RowCheck:
    """Return the check that a path names, ``file.py:function`` or ``package.module:function``.

    The function gets the prompt, the text of the answer, the reference (or None) and the row as a dictionary. It
    returns True or False, a score in [0, 1], a pair (score, reason) or a ``Verdict``. What it raises makes the answer
    unscored, with the reason. Raises :class:`TutelageError` if there is no such function or it takes other arguments.
    """
    function = load_object(path, folder)
    if not callable(function):
        raise TutelageError("a check is a function", where=path, received=type(function).__name__)
    try:
        inspect.signature(function).bind("", "", None, {})
    except TypeError as error:
        remedy = "define it as function(prompt, answer_text, reference, row)"
        raise TutelageError(f"the check takes other arguments: {error}", where=path, remedy=remedy) from error
    except ValueError:  # a function in C without a signature: the first call will tell
        pass

    def judge(item: Item, text: str) -> Verdict:
        try:
            result = function(item.spec.get("question", item.prompt), text, item.spec.get("reference"), _row(item))
        except OWN_CODE_ERRORS as error:
            return unscored(f"The check {path} raised {type(error).__name__}: {error}")
        return as_verdict(result, path)

    return RowCheck(judge, needs_reference=False)


def as_verdict(result: object, path: str) -> Verdict:
    """Return what a check of one's own gave as a verdict; unscored if it cannot be one."""
    if isinstance(result, Verdict):
        return result
    score, reason = result if isinstance(result, tuple) and len(result) == 2 else (result, "")
    if not isinstance(score, SupportsFloat):
        return unscored(f"The check {path} returned {result!r}; a truth value or a score in [0, 1] was expected.")
    value = float(score)
    if not 0 <= value <= 1:
        return unscored(f"The check {path} returned the score {value:g}; it must lie in [0, 1].")
    return Verdict(
        score=value, reason=str(reason) or ("The answer is right." if value >= 1 else "The answer is wrong.")
    )


def _row(item: Item) -> dict[str, object]:
    row = item.spec.get("row")
    return dict(row) if isinstance(row, dict) else {}
