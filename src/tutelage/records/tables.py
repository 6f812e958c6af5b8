"""Reading what people hand in as rows with their lines: JSON Lines, JSON arrays, CSV, Parquet, folders of them."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
from pydantic import JsonValue

from tutelage.errors import DataError, Problem
from tutelage.files import storage
from tutelage.records.compressed import Damaged, files_below, kind_of_file, opened
from tutelage.records.parquet import parquet_rows

MAX_LINE_BYTES = 64 * 2**20
MAX_SHOWN = 20
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")

# The module's own limit, 128 kB a cell, is one for the whole process and smaller than an ordinary document.
csv.field_size_limit(MAX_LINE_BYTES)


class Faults:
    """The problems of one input: all are counted, the first 20 are shown."""

    def __init__(self, subject: Path | str) -> None:
        self.subject = str(subject)
        self.count = 0
        self._shown: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """Note one problem."""
        self.count += 1
        if len(self._shown) < MAX_SHOWN:
            self._shown.append(problem)

    def raise_if_any(self) -> None:
        """Raise :class:`DataError` with the problems, if there are any."""
        if self.count:
            subject = self.subject
            if self.count > len(self._shown):
                subject += f": {self.count} problems in all, the first"
            raise DataError(subject, self._shown)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: the line where it starts (from 1) and its values by column."""

    line: int
    values: dict[str, JsonValue]
    file: Path = Path()

    @property
    def where(self) -> str:
        """File and line, as an error names them."""
        return f"{self.file}:{self.line}"


def iter_lines(path: Path, faults: Faults, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and text of every line that is not blank; a byte order mark and CR are taken off.

    Lines that are too long or not UTF-8 go to ``faults``. Memory: one line. Raises :class:`StorageError`.
    """
    number = 0
    with storage(path, "read the file"):
        try:
            with opened(path) as file:
                while line := file.readline(max_line_bytes + 1):
                    number += 1
                    if len(line) > max_line_bytes and not line.endswith(b"\n"):
                        faults.add(_too_long(path, number, max_line_bytes))
                        while line and not line.endswith(b"\n"):
                            line = file.readline(max_line_bytes)
                        continue
                    if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                        faults.add(Problem("the file is UTF-16, not UTF-8", f"{path}:1", remedy="save it as UTF-8"))
                        return
                    text = _decoded(line, path, number, faults)
                    if text is not None and text.strip():
                        yield number, text.rstrip("\r\n")
        except Damaged as error:
            faults.add(_damaged(path, error, f"{path}:{number + 1}"))


def parse_json(text: str, where: str, faults: Faults) -> JsonValue:
    """Return the value of a JSON text; what is not JSON (NaN and infinity included) goes to ``faults``, as None."""
    try:
        value: JsonValue = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        faults.add(Problem("the JSON is nested too deeply", where))
    except ValueError as error:
        at = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        faults.add(Problem(f"not valid JSON: {what}", where + at, shown(text), "every line must be one JSON object"))
    else:
        return value
    return None


def read_rows(path: Path | str) -> list[Row]:
    """Return the rows of a file, or of all files below a folder, which are of one kind, in the order of their names.

    ``.jsonl``, ``.ndjson``, ``.json`` (an array), ``.csv`` and ``.tsv``, compressed (``.gz``, ``.bz2``, ``.xz``,
    ``.zst``) or not, and ``.parquet``, whose rows have numbers for lines.

    CSV: the first row names the columns; a semicolon separates where the header has one and no comma; every value is
    a string. Raises :class:`DataError` with all faults, also for a file without rows, and :class:`StorageError`.
    """
    faults = Faults(path)
    rows = list(iter_rows(path, faults))
    faults.raise_if_any()
    return rows


def iter_rows(path: Path | str, faults: Faults) -> Iterator[Row]:
    """Yield what :func:`read_rows` returns; what cannot be read goes to ``faults``, and so does that there is no row.

    Memory: one row, a batch of a Parquet file, or all of a JSON array. Raises :class:`StorageError`.
    """
    path = Path(path)
    found = False
    for file in row_files(path, faults):
        for row in _rows_of(file, faults):
            found = True
            yield row
    if not found and not faults.count:
        faults.add(Problem("the file has no rows", str(path), remedy="give at least one"))


def row_files(path: Path, faults: Faults) -> list[Path]:
    """Return the file, or the files of rows below a folder: what is of no kind or of several goes to ``faults``."""
    with storage(path, "read the file"):
        path.stat()
    if not path.is_dir():
        if (suffix := kind_of_file(path)) in SUFFIXES:
            return [path]
        faults.add(Problem("unknown kind of file", str(path), suffix or "no suffix", f"use {', '.join(SUFFIXES)}"))
        return []
    files = files_below(path, SUFFIXES)
    kinds = sorted({kind_of_file(file) for file in files})
    if len(kinds) > 1:
        remedy = "name one of its files, or keep files of one kind alone in a folder"
        faults.add(Problem("the folder has files of several kinds", str(path), ", ".join(kinds), remedy))
    elif not files:
        faults.add(Problem("the folder has no file of rows", str(path), remedy=f"it takes {', '.join(SUFFIXES)}"))
    return files if len(kinds) == 1 else []


def _rows_of(path: Path, faults: Faults) -> Iterator[Row]:
    match kind_of_file(path):
        case ".parquet":
            return _parquet_rows(path, faults)
        case ".csv":
            return _csv_rows(path, faults, "")
        case ".tsv":
            return _csv_rows(path, faults, "\t")
        case _:
            return _json_rows(path, faults)


def shown(value: object, limit: int = 60) -> str:
    """Return ``value`` as it stands in an error: its JSON, cut to ``limit`` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _json_rows(path: Path, faults: Faults) -> Iterator[Row]:
    before = faults.count
    lines = iter_lines(path, faults)
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip().startswith("["):
        # Rejoined with every blank line in its place, so that offsets still tell lines.
        parts: list[str] = []
        last = 1
        for number, line in (first, *lines):
            parts.append("\n" * (number - last) + line)
            last = number
        if faults.count == before:
            yield from _array_rows("".join(parts), path, faults)
        return
    for number, line in chain([first], lines):
        so_far = faults.count
        value = parse_json(line, f"{path}:{number}", faults)
        if faults.count == so_far:
            yield from _row(number, value, path, faults)


def _array_rows(text: str, path: Path, faults: Faults) -> Iterator[Row]:
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    position = _skip_space(text, text.index("[") + 1)
    line, counted = 1, 0
    if text[position : position + 1] == "]":
        return
    while True:
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            at = line
            what = "nested too deeply"
            if isinstance(error, json.JSONDecodeError):
                at, what = text.count("\n", 0, error.pos) + 1, error.msg
            elif isinstance(error, ValueError):
                what = str(error)
            received = shown(text[position : position + 80])
            faults.add(Problem(f"not valid JSON: {what}", f"{path}:{at}", received, "nothing after it was read"))
            return
        yield from _row(line, value, path, faults)
        position = _skip_space(text, end)
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)
            continue
        if text[position : position + 1] != "]" or text[position + 1 :].strip():
            line += text.count("\n", counted, position)
            received = shown(text[position : position + 40]) or "the end of the file"
            faults.add(Problem("expected a comma or the end of the array", f"{path}:{line}", received))
        return


def _row(line: int, value: JsonValue, path: Path, faults: Faults) -> Iterator[Row]:
    written = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict):
        faults.add(Problem("expected a JSON object", f"{path}:{line}", shown(written), 'write {"column": value, ...}'))
    elif lone := LONE_SURROGATE.search(written):
        received = f"\\u{ord(lone.group()):04x}"
        faults.add(Problem("half a surrogate pair is no character", f"{path}:{line}", received, "remove it"))
    else:
        yield Row(line, value, path)


def _csv_rows(path: Path, faults: Faults, delimiter: str) -> Iterator[Row]:
    before = faults.count
    with storage(path, "read the file"):
        try:
            with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
                yield from _cells(lines, path, faults, delimiter)
        except Damaged as error:
            faults.add(_damaged(path, error, str(path)))
        except UnicodeDecodeError:
            for _ in iter_lines(path, faults):  # the decoder does not know the line, nor whether another one is bad too
                pass
            assert faults.count > before


def _cells(lines: io.TextIOBase, path: Path, faults: Faults, delimiter: str) -> Iterator[Row]:
    """The rows of a CSV file. Raises ``UnicodeDecodeError``."""
    head = lines.readline()
    delimiter = delimiter or (";" if ";" in head and "," not in head else ",")
    reader = csv.reader(chain([head], lines), delimiter=delimiter, strict=True)
    columns: list[str] = []
    start = 1
    try:
        for cells in reader:
            where = f"{path}:{start}"
            if not any(cell.strip() for cell in cells):
                pass
            elif not columns:
                columns = [cell.strip() for cell in cells]
                if "" in columns or len(set(columns)) < len(columns):
                    remedy = "give every column one name of its own"
                    faults.add(Problem("a column has no name or two have the same", where, shown(head), remedy))
            elif len(cells) != len(columns):
                remedy = f'put cells that hold "{delimiter}" or a line break in double quotes'
                what = f"expected {len(columns)} cells, as in the header"
                faults.add(Problem(what, where, f"{len(cells)}: {shown(delimiter.join(cells))}", remedy))
            else:
                yield Row(start, dict(zip(columns, cells, strict=True)), path)
            start = reader.line_num + 1
    except csv.Error as error:
        faults.add(Problem(f"not valid CSV: {error}", f"{path}:{start}", remedy="check the quotes from here on"))


def _parquet_rows(path: Path, faults: Faults) -> Iterator[Row]:
    try:
        for number, values in parquet_rows(path):
            yield from _row(number, values, path, faults)
    except pa.ArrowInvalid as error:
        faults.add(Problem("not a whole Parquet file", str(path), shown(str(error)), "make the file again"))


def _decoded(line: bytes, path: Path, number: int, faults: Faults) -> str | None:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        near = line[max(0, error.start - 20) : error.end].decode("latin-1")
        received = f"byte 0x{line[error.start]:02x} at {shown(near)!r}"
        faults.add(Problem("expected UTF-8 text", f"{path}:{number}", received, "save the file as UTF-8"))
        return None


def _damaged(path: Path, error: Damaged, where: str) -> Problem:
    return Problem(f"the {path.suffix[1:]} file is damaged or cut off ({error})", where, remedy="make the file again")


def _too_long(path: Path, number: int, limit: int) -> Problem:
    what = f"the line is longer than {limit / 2**20:g} MB"
    return Problem(what, f"{path}:{number}", remedy="split the row, or check that lines end with a line break")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
