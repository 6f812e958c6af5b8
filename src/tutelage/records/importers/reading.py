"""The rows of a file as records of one kind, every fault by line and key."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from tutelage.errors import Problem
from tutelage.records.base import Record
from tutelage.records.importers.turns import RowFault, Values, text_of
from tutelage.records.jsonl import problems_of
from tutelage.records.messages import Conversation
from tutelage.records.tables import Faults, Row, iter_rows, shown

Made = TypeVar("Made", bound=Record)


def convert_rows(path: Path | str, convert: Callable[[Values], Made], kind: type[Made]) -> Iterator[Made]:
    """Yield what ``convert`` makes of the values of each row of a file, one row in memory at a time.

    The whole file is read even when a row is bad: do nothing final with what is yielded before the end.

    Raises
    ------
    DataError: at the end, with every fault of the file, each by file, line and key. StorageError: it cannot be read.
    """
    path = Path(path)
    faults = Faults(path)
    return converted(iter_rows(path, faults), faults, convert, kind)


def converted(
    rows: Iterable[Row], faults: Faults, convert: Callable[[Values], Made], kind: type[Made]
) -> Iterator[Made]:
    """Yield what ``convert`` makes of ``rows``; at the end :class:`DataError` is raised, if there are ``faults``."""
    for row in rows:
        where = row.where
        try:
            made = convert(row.values)
        except RowFault as fault:
            received = "" if fault.received is None else shown(fault.received)
            faults.add(Problem(fault.what, f"{where}: {fault.key}" if fault.key else where, received, fault.remedy))
        except ValidationError as error:
            for problem in problems_of(error, kind, where):
                faults.add(problem)
        else:
            yield made
    faults.raise_if_any()


def labels_of(values: Values, names: Sequence[str]) -> dict[str, str]:
    """Return those of the columns ``names`` that the row has."""
    given = {name: text_of(values, name) for name in names}
    return {name: text for name, text in given.items() if text}


def plain(messages: Conversation) -> JsonValue:
    """Return messages as what their identity is made of."""
    return [message.model_dump(mode="json", exclude_defaults=True) for message in messages]


def unknown_form(values: Values, known: str) -> RowFault:
    """Return the fault of a row whose keys tell no form."""
    return RowFault("", "the keys fit no known form", sorted(values), f"use {known}")
