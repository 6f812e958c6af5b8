"""Where piles stand and how they are sorted: in memory, or in a folder by runs that are merged."""

import fcntl
import heapq
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

from tutelage.curate.piles import Codec, FilePile, HeldPile, Pile
from tutelage.errors import RunError
from tutelage.files import PARTIAL, storage

T = TypeVar("T")
RUN_BYTES = 64 * 2**20
"""Bytes of rows that are sorted in memory."""
MERGED = 64
"""Runs that are merged at once, each with an open file."""
LEFT = ".curate."


class Shelf:
    """Piles in memory."""

    folder: Path | None = None

    def pile(self, codec: Codec[T]) -> Pile[T]:
        """Return a new pile."""
        return HeldPile()

    def sorted(self, things: Iterable[T], codec: Codec[T]) -> Iterator[T]:
        """Yield ``things`` in the order of their keys."""
        yield from sorted(things, key=codec.key)

    def settled(self, things: Iterable[T], codec: Codec[T]) -> Iterator[T]:
        """Yield ``things``, which come in the order of their ids, in that of their keys."""
        for _, same in groupby(things, key=lambda thing: codec.key(thing)[0]):
            first = list(islice(same, 2))
            yield from first if len(first) < 2 else self.sorted(chain(first, same), codec)  # noqa: B031  # its rest


class FolderShelf(Shelf):
    """Piles in files of ``folder``, closed with the block; what is sorted there may be as large as the disk, in runs of
    ``run_bytes``."""

    def __init__(self, folder: Path, *, run_bytes: int = RUN_BYTES) -> None:
        self.folder: Path = folder
        self.run_bytes = run_bytes
        self._count = 0
        self._piles: WeakSet[FilePile[Any]] = WeakSet()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pile in self._piles:
            pile.close()

    def pile(self, codec: Codec[T]) -> Pile[T]:
        self._count += 1
        pile = FilePile(self.folder / str(self._count), codec)
        self._piles.add(pile)
        return pile

    def sorted(self, things: Iterable[T], codec: Codec[T]) -> Iterator[T]:
        runs: list[Pile[T]] = []
        run: list[T] = []
        size = 0
        for thing in things:
            line = codec.encode(thing)
            run.append(codec.decode(line))  # without what the thing holds beside its line
            size += len(line)
            if size >= self.run_bytes:
                runs.append(self.pile(codec).fill(sorted(run, key=codec.key)))
                run, size = [], 0
        if not runs:
            yield from sorted(run, key=codec.key)
            return
        runs.append(self.pile(codec).fill(sorted(run, key=codec.key)))
        del run
        while len(runs) > MERGED:
            some, runs = runs[:MERGED], runs[MERGED:]
            runs.append(self.pile(codec).fill(_merged(some, codec)))
        yield from _merged(runs, codec)


def _merged(runs: Iterable[Pile[T]], codec: Codec[T]) -> Iterator[T]:
    runs = list(runs)
    yield from heapq.merge(*runs, key=codec.key)
    for run in runs:
        run.clear()


@contextmanager
def scratch(folder: Path, names: Sequence[str] = ()) -> Iterator[Path]:
    """Own ``folder`` and give a place in it for rows on their way; it is removed at the end, also on failure, and with
    it ``folder``, if that was made for it and has nothing in it. Nobody else may read there: what no step has masked
    yet lies in it. What a killed process left is removed at first, with what it left of files of the ``names``; only
    where a file system has no locks it stays, for it may be a living one's.

    Raises
    ------
    RunError: another process has ``folder``. StorageError: it cannot be made or written to.
    """
    with storage(folder, "make the folder"):
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        owned = os.open(folder, os.O_RDONLY)
    place = folder / f"{LEFT}{secrets.token_hex(4)}{PARTIAL}"
    try:
        is_own = _locked(owned, folder)
        with storage(folder, "clean the folder"):
            if is_own:
                _clean(folder, names)
            place.mkdir(mode=0o700)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(owned)
        for one in missing:
            with suppress(OSError):
                one.rmdir()


def _locked(owned: int, folder: Path) -> bool:
    """Whether the folder is locked now. Network file systems may have no locks for folders. Raises RunError."""
    try:
        fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        remedy = "wait for it, or choose another --out"
        raise RunError("another process curates into this folder", where=str(folder), remedy=remedy) from None
    except OSError:
        return False
    return True


def _clean(folder: Path, names: Iterable[str]) -> None:
    for left in folder.glob(f"{LEFT}*{PARTIAL}"):
        shutil.rmtree(left)
    for name in names:
        for left in folder.glob(f".{name}.*{PARTIAL}"):  # of files.atomic_file
            left.unlink()
