"""Errors that say what is wrong, where, what was received and what to do.

Every error a user can cause is a :class:`TutelageError`. Several faults of one input travel together in
:class:`InputErrors`, so that a user mends a file once and not fault by fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input: ``what`` is wrong, ``where``, what was ``received`` and the ``remedy``."""

    what: str
    where: str = ""
    received: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.received:
            text += f" (received {self.received})"
        if self.remedy:
            text += f". {self.remedy[:1].upper()}{self.remedy[1:]}"
        return text


class TutelageError(Exception):
    """Base of all errors that a user can cause and mend. ``exit_code`` is what the command line returns."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", received: str = "", remedy: str = "") -> None:
        self.problem = Problem(what, where, received, remedy)
        super().__init__(str(self.problem))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[TutelageError], args: tuple[Any, ...], state: Mapping[str, Any]) -> TutelageError:
    """An error as it was raised in another process."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InputErrors(TutelageError):
    """All faults of one input at once (exit code 2)."""

    exit_code = 2

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        super().__init__(f"{subject}: {len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}")

    def __str__(self) -> str:
        return "\n".join([str(self.problem) + ":", *(f"  - {problem}" for problem in self.problems)])


class RecipeError(InputErrors):
    """A recipe that does not parse, or asks for something impossible."""


class DataError(InputErrors):
    """Rows that cannot be read or do not fit their schema."""


class ModelError(TutelageError):
    """A model, tokenizer or chat template that is missing, broken or unusable (exit code 3)."""

    exit_code = 3


class TemplateError(ModelError):
    """A chat template from which no exact loss mask can be made."""


class RunError(TutelageError):
    """A run directory that belongs to another recipe, is locked or is damaged (exit code 4)."""

    exit_code = 4


class StorageError(TutelageError):
    """The disk refused: full, read-only or not permitted (exit code 5)."""

    exit_code = 5


class CompletionError(TutelageError):
    """An engine or endpoint could not answer (exit code 6)."""

    exit_code = 6


class TrainingError(TutelageError):
    """Training cannot go on: no rows, a loss that is not a number, memory that does not suffice (exit code 7)."""

    exit_code = 7


class MissingExtra(TutelageError):
    """An optional dependency is not installed; the message carries the exact install line (exit code 8)."""

    exit_code = 8

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency", remedy=f"run: pip install 'tutelage[{extra}]'")
