"""Records as JSON Lines: one record a line, gzipped where the name ends in ``.gz``."""

import difflib
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tutelage.errors import Problem
from tutelage.files import append_lines, atomic_file, has_torn_line, read_lines, storage
from tutelage.records.base import Record
from tutelage.records.tables import MAX_LINE_BYTES, Faults, iter_lines, shown

R = TypeVar("R", bound=Record)


def iter_records(
    path: Path | str, record_type: type[R], *, max_line_bytes: int = MAX_LINE_BYTES, required: bool = False
) -> Iterator[R]:
    """Yield the records of a file, one line in memory at a time.

    The whole file is read even when a line is bad, and then :class:`DataError` names every fault by file, line and
    key: do nothing final with the records before the iteration has ended. ``required`` makes an empty file a fault.
    Raises :class:`StorageError` when the file cannot be read.
    """
    path = Path(path)
    faults = Faults(path)
    found = False
    for number, line in iter_lines(path, faults, max_line_bytes):
        try:
            record = record_type.from_json(line)
        except ValidationError as error:
            for problem in problems_of(error, record_type, f"{path}:{number}"):
                faults.add(problem)
        else:
            found = True
            yield record
    if required and not found and not faults.count:
        faults.add(Problem("the file has no records", str(path), remedy="give at least one"))
    faults.raise_if_any()


def read_records(
    path: Path | str, record_type: type[R], *, max_line_bytes: int = MAX_LINE_BYTES, required: bool = False
) -> list[R]:
    """Return all records of a file; see :func:`iter_records`."""
    return list(iter_records(path, record_type, max_line_bytes=max_line_bytes, required=required))


def write_records(path: Path | str, records: Iterable[Record]) -> int:
    """Write ``records`` as the whole content of ``path``, atomically, and return how many they are.

    Equal records give equal bytes, gzipped too. Raises :class:`StorageError`.
    """
    return write_lines(path, (record.to_json().encode() for record in records))


def write_lines(path: Path | str, lines: Iterable[bytes]) -> int:
    """Write what :func:`write_records` would, of records that are ``lines`` of JSON already."""
    count = 0
    with atomic_file(path) as partial, storage(path, "write the file"), open(partial, "wb") as plain:
        file = gzip.GzipFile("", "wb", fileobj=plain, mtime=0) if Path(path).suffix == ".gz" else plain
        for line in lines:
            file.write(line + b"\n")
            count += 1
        if file is not plain:
            file.close()
    return count


class RecordLog(Generic[R]):
    """A growing file of records, for stages that go on where they were stopped.

    What :meth:`append` has returned from is on the disk; of what a crash cut off, nothing is seen. One writer.
    """

    def __init__(self, path: Path | str, record_type: type[R]) -> None:
        self.path = Path(path)
        self.record_type = record_type

    @property
    def torn(self) -> bool:
        """Whether a crash cut off the last line; it is not loaded, and the next line written takes its place."""
        return has_torn_line(self.path)

    def load(self) -> list[R]:
        """Return the complete records, none if there is no file; a torn last line is left out.

        Raises :class:`DataError` for a complete line that is no record, and :class:`StorageError`.
        """
        faults = Faults(self.path)
        records = []
        for number, line in enumerate(read_lines(self.path), start=1):
            try:
                records.append(self.record_type.from_json(line))
            except ValidationError as error:
                for problem in problems_of(error, self.record_type, f"{self.path}:{number}"):
                    faults.add(problem)
        faults.raise_if_any()
        return records

    def append(self, *records: R) -> None:
        """Add ``records`` in one write, durably; a torn last line is cut off first."""
        append_lines(self.path, (record.to_json() for record in records))


def problems_of(error: ValidationError, record_type: type[Record], where: str) -> list[Problem]:
    """Return what is wrong with one row: the key, what was expected, what was received, what to do."""
    return [_problem(detail, record_type, where) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, record_type: type[Record], where: str) -> Problem:
    kind, key = detail["type"], ".".join(str(part) for part in detail["loc"])
    where = f"{where}: {key}" if key else where
    if kind == "missing":
        return Problem("expected this key", where, remedy="add it")
    if kind == "extra_forbidden":
        names = list(record_type.model_fields) if len(detail["loc"]) == 1 else []
        near = difflib.get_close_matches(str(detail["loc"][-1]), names, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "remove it"
        return Problem("expected no such key", where, shown(detail["input"]), remedy)
    if kind == "json_invalid":
        what = detail["msg"].replace("Invalid JSON: ", "expected valid JSON: ")
        return Problem(what, where, shown(detail["input"]), "every line must be one JSON object")
    what = detail["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    return Problem(what, where, shown(detail["input"]))
