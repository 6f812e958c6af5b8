"""Rows between two steps: held in memory, or in a file of which memory holds the places of lines."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tutelage.files import storage

T = TypeVar("T")
BUFFER = 1 << 17
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How things are sorted (``key``, of which the first part is an id) and written as lines, and how large they are
    about, where that is known without writing them."""

    key: Callable[[T], tuple[Any, ...]]
    size: Callable[[T], int]
    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


class Pile(ABC, Generic[T]):
    """Things in the order in which they were added."""

    @abstractmethod
    def add(self, thing: T) -> None:
        """Put one more on the pile."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[T]: ...

    @abstractmethod
    def __getitem__(self, place: int) -> T: ...

    @abstractmethod
    def only(self, places: Places) -> "Pile[T]":
        """Return those at ``places``, in this order. The pile is not used any more."""

    @abstractmethod
    def clear(self) -> None:
        """Give up the pile and what holds it."""

    def close(self) -> None:
        """Close what is open of it; it may be used on."""

    def fill(self, things: Iterable[T]) -> Self:
        """Add all ``things`` and return the pile, closed."""
        for thing in things:
            self.add(thing)
        self.close()
        return self


class HeldPile(Pile[T]):
    """A pile in memory."""

    def __init__(self) -> None:
        self._things: list[T] = []

    def add(self, thing: T) -> None:
        self._things.append(thing)

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[T]:
        return iter(self._things)

    def __getitem__(self, place: int) -> T:
        return self._things[place]

    def only(self, places: Places) -> "HeldPile[T]":
        pile = HeldPile[T]()
        pile._things = [self._things[place] for place in places.tolist()]
        return pile

    def clear(self) -> None:
        self._things.clear()


class FilePile(Pile[T]):
    """A pile in a file: memory holds 8 bytes for each thing. Raises :class:`StorageError` when the disk refuses."""

    def __init__(self, path: Path, codec: Codec[T]) -> None:
        self.path = path
        self._codec = codec
        self._starts = array("q")
        self._size = 0
        self._writing: IO[bytes] | None = None
        self._reading: IO[bytes] | None = None

    def add(self, thing: T) -> None:
        line = self._codec.encode(thing)
        with storage(self.path, "set rows aside"):
            if self._writing is None:
                self._writing = open(self.path, "ab", buffering=BUFFER)  # noqa: SIM115  # open as long as the pile
            self._writing.write(line + b"\n")
        self._starts.append(self._size)
        self._size += len(line) + 1

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[T]:
        self.close()
        if not self._starts:
            return
        with storage(self.path, "read rows that were set aside"), open(self.path, "rb", buffering=BUFFER) as file:
            for start in self._starts:
                file.seek(start)
                yield self._codec.decode(file.readline()[:-1])

    def __getitem__(self, place: int) -> T:
        if self._writing is not None:
            self.close()
        with storage(self.path, "read rows that were set aside"):
            if self._reading is None:
                self._reading = open(self.path, "rb")  # noqa: SIM115
            self._reading.seek(self._starts[place])
            return self._codec.decode(self._reading.readline()[:-1])

    def only(self, places: Places) -> "FilePile[T]":
        self.close()
        self._starts = (
            array("q", np.frombuffer(self._starts, np.int64)[places].tobytes()) if len(places) else array("q")
        )
        return self

    def clear(self) -> None:
        self.close()
        self._starts = array("q")
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        for file in (self._writing, self._reading):
            if file is not None:
                with storage(self.path, "set rows aside"):
                    file.close()
        self._writing = self._reading = None
