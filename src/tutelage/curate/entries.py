"""A row on its way through the steps: as an object, or as the line that is written of it, whichever is at hand."""

import json
from typing import Any

from tutelage.curate.piles import Codec
from tutelage.records import Dropped, Example

CHANGES = b'"changes":'


class Entry:
    """A row, and how many changes its lineage told when it came.

    One that was read from a line is parsed when it is asked for its row; one that was made of a row is written when it
    is asked for its line, and sent to another process as that.
    """

    __slots__ = ("_line", "_row", "came", "id")

    def __init__(self, row: Example, came: int) -> None:
        self.id = row.id
        self.came = came
        self._row: Example | None = row
        self._line: bytes | None = None

    @classmethod
    def of_line(cls, line: bytes) -> "Entry":
        """Return what :meth:`line` wrote down."""
        entry = cls.__new__(cls)
        head, came, _ = line.split(b"\t", 2)
        entry.id, entry.came = json.loads(head), int(came)
        entry._row, entry._line = None, line
        return entry

    @property
    def row(self) -> Example:
        """The row."""
        if self._row is None:
            assert self._line is not None
            self._row = Example.from_json(self._line.split(b"\t", 2)[2].removeprefix(b"~"))
        return self._row

    def size(self) -> int:
        """Return the bytes of the line, 0 if there is none."""
        return len(self._line or b"")

    def line(self) -> bytes:
        """Return id, count and row, parted by tabs. JSON has no tab; a row that its own JSON does not tell apart from
        others (infinite numbers become null in it) is written otherwise, behind a tilde."""
        if self._line is None:
            text = self.row.to_json()
            if "null" in text and Example.from_json(text) != self.row:
                text = f"~{json.dumps(self.row.model_dump(exclude_defaults=True), ensure_ascii=False)}"
            self._line = f"{json.dumps(self.id)}\t{self.came}\t{text}".encode()
        return self._line

    def text(self) -> bytes:
        """Return the row as one line of JSON."""
        if self._line is not None:
            text = self._line.split(b"\t", 2)[2]
            if not text.startswith(b"~"):
                return text
        return self.row.to_json().encode()

    def changes(self) -> tuple[str, ...]:
        """Return what was changed since the row came."""
        if self._row is None and CHANGES not in self.text():
            return ()
        return self.row.lineage.changes[self.came :]

    def __lt__(self, other: "Entry") -> bool:
        """Whether the row comes before another one of the same id."""
        return self.text() < other.text()

    def __reduce__(self) -> tuple[Any, ...]:
        return Entry.of_line, (self.line(),)


ENTRIES: Codec[Entry] = Codec(
    key=lambda entry: (entry.id, entry), size=Entry.size, encode=Entry.line, decode=Entry.of_line
)
DROPPED: Codec[Dropped] = Codec(
    key=lambda row: (row.id, row.reason, row.row),
    size=lambda row: len(row.row),
    encode=lambda row: row.to_json().encode(),
    decode=Dropped.from_json,
)
