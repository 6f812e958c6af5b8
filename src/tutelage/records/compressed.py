"""Files as they are handed in: plain or compressed, by the end of their name; several of one kind in a folder."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


class Damaged(Exception):
    """A compressed file that is not whole; the message says what its reader says."""


def kind_of_file(path: Path) -> str:
    """Return the suffix that tells what a file holds: ``.jsonl`` of ``rows.jsonl.gz``, in lower case."""
    name = Path(path.stem) if path.suffix.lower() in COMPRESSIONS else path
    return name.suffix.lower()


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed where its name ends in one of ``COMPRESSIONS``."""
    match path.suffix.lower():
        case ".gz":
            return cast(IO[bytes], gzip.open(path, "rb"))
        case ".bz2":
            return cast(IO[bytes], bz2.open(path, "rb"))
        case ".xz":
            return cast(IO[bytes], lzma.open(path, "rb"))
        case ".zst":
            return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
        case _:
            return path.open("rb")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as :func:`open_bytes` does. Raises :class:`Damaged` where what is compressed is cut off or none."""
    with _in_words(path), open_bytes(path) as file:
        yield file


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowInvalid) as error:
        raise Damaged(str(error)) from error
    except OSError as error:  # bz2 and zstd have no error of their own; those of the disk have a number
        if error.errno is not None or path.suffix.lower() not in (".bz2", ".zst"):
            raise
        raise Damaged(str(error)) from error


def files_below(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    """Return the files of ``kinds`` below ``folder`` in the order of their names, without what is hidden (a name that
    begins with a dot)."""
    found = sorted(file for file in folder.rglob("*") if file.is_file() and kind_of_file(file) in kinds)
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
