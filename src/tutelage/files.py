"""Files that are whole or absent: atomic writes, durable appends, and storage errors in words.

A process may be killed at any instruction and the machine may lose power; a reader then finds the old content, the
new content or nothing, never a half of one. Names that end in ``.partial`` are work in progress and belong to nobody
after a crash (:func:`remove_partial`).
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tutelage.errors import StorageError

PARTIAL = ".partial"
CHUNK = 1 << 20

_REFUSALS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder, then run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another folder, then run it again"),
    errno.EROFS: ("the file system is read-only", "choose a folder that can be written to"),
    errno.EACCES: ("permission denied", "check who owns it and what its permissions are, or choose another folder"),
    errno.EPERM: ("the operation is not permitted", "check who owns it, or choose another folder"),
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.EEXIST: ("a file of this name is in the way", "choose another name"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    errno.EISDIR: ("it is a folder, not a file", "give the path of a file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EFBIG: ("the file would be larger than this file system or account allows", "choose another folder"),
    errno.EIO: ("the disk reported a fault", "check the disk"),
}


@contextmanager
def storage(path: Path | str, action: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a :class:`StorageError` that names ``path`` and the ``action``."""
    try:
        yield
    except OSError as error:
        what, remedy = _REFUSALS.get(error.errno or 0, (error.strerror or str(error), ""))
        raise StorageError(f"cannot {action}: {what}", where=str(path), remedy=remedy) from error


def write_atomic(path: Path | str, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8) so that ``path`` holds the old content or all of the new one.

    Temporary file in the same folder, flush, fsync, rename, fsync of the folder. Missing parent folders are made; a
    symbolic link stays one. Raises :class:`StorageError`.
    """
    with atomic_file(path) as partial, storage(path, "write the file"):
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path | str, value: object) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinity, which JSON has not, raise ``ValueError``."""
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Give the path of a file to fill; at the end of the block it becomes ``path``, on failure it is removed."""
    target = Path(path).resolve()
    with storage(path, "write the file"):
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        yield partial
        with storage(path, "write the file"):
            _sync(partial)
            partial.replace(target)
            _sync(target.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str, replace: bool = False) -> Iterator[Path]:
    """Give a new folder to fill; at the end of the block it becomes ``path``, on failure it is removed.

    An existing folder with content is refused unless ``replace``; it is then moved aside first, so that a crash can
    leave neither of the two under the name, but never a mixture. Raises :class:`StorageError`.
    """
    target = Path(path).resolve()
    with storage(path, "make the folder"):
        if not replace and target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise StorageError("it exists already", where=str(path), remedy="choose another name or remove it")
        partial = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}{PARTIAL}")
        partial.mkdir(parents=True)
    try:
        yield partial
        with storage(path, "finish the folder"):
            for entry in sorted(partial.rglob("*"), reverse=True):
                if not entry.is_symlink():
                    _sync(entry)
            _sync(partial)
            _put_in_place(partial, target)
            _sync(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def append_line(path: Path | str, line: str) -> None:
    """Append one line durably; see :func:`append_lines`."""
    append_lines(path, [line])


def append_lines(path: Path | str, lines: Iterable[str]) -> None:
    """Append ``lines`` (without line breaks in them) and return when they are on the disk.

    A last line without its line break is the torn end of a write that a crash cut off; it is removed first. When the
    disk refuses, the file is cut back to what it was. One writer at a time. Raises :class:`StorageError`.
    """
    block = "".join(_one_line(line) + "\n" for line in lines).encode()
    if not block:
        return
    target = Path(path)
    with storage(path, "append to the file"):
        target.parent.mkdir(parents=True, exist_ok=True)
        is_new = not target.exists()
        # Unbuffered: a buffer would try again at close what the disk has just refused.
        with open(target, "a+b", buffering=0) as file:
            size = _whole_size(file.fileno())
            if size < os.fstat(file.fileno()).st_size:
                file.truncate(size)
            try:
                _write_all(file.fileno(), block)
                os.fsync(file.fileno())
            except BaseException:
                with suppress(OSError):
                    file.truncate(size)
                raise
        if is_new:
            _sync(target.parent)


def read_lines(path: Path | str) -> list[str]:
    """Return the complete lines of an appended file, without their line breaks; none if it does not exist.

    A torn last line is left out. Raises :class:`StorageError`, also for bytes that are not UTF-8.
    """
    with storage(path, "read the file"):
        content = Path(path).read_bytes() if Path(path).exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    try:
        return whole.decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        line = whole.count(b"\n", 0, error.start) + 1
        raise StorageError("the file is damaged: it is not UTF-8", where=f"{path}:{line}") from error


def has_torn_line(path: Path | str) -> bool:
    """Whether an appended file ends without a line break: a crash cut off a write. Raises :class:`StorageError`."""
    if not Path(path).exists():
        return False
    with storage(path, "read the file"), open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def read_text(path: Path | str) -> str:
    """Return the text of a UTF-8 file (a byte order mark is dropped). Raises :class:`StorageError`."""
    with storage(path, "read the file"):
        content = Path(path).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StorageError(
            "the file is not UTF-8 text",
            where=f"{path}:{line}",
            received=f"byte 0x{content[error.start]:02x}",
            remedy="save it as UTF-8",
        ) from error


def read_json(path: Path | str) -> object:
    """Return the content of a JSON file. Raises :class:`StorageError`, also for a file that is not JSON."""
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise StorageError(f"the file is not JSON: {error}", where=str(path)) from error


def remove_partial(folder: Path | str) -> list[Path]:
    """Remove what a killed process left unfinished below ``folder`` and return it. Only for the holder of its lock."""
    with storage(folder, "clean the folder"):
        remains = sorted(Path(folder).rglob(f".*{PARTIAL}"))
        for entry in remains:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)
    return remains


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal digits."""
    with storage(path, "read the file"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: Path | str) -> int:
    """Return the bytes that may still be written where ``path`` is or would be."""
    place = Path(path).resolve()
    while not place.exists():
        place = place.parent
    with storage(path, "read the free space"):
        return shutil.disk_usage(place).free


def require_space(path: Path | str, needed: int) -> None:
    """Raise :class:`StorageError` if fewer than ``needed`` bytes are free where ``path`` is or would be."""
    free = free_bytes(path)
    if free < needed:
        raise StorageError(
            f"{needed / 1e6:,.0f} MB are needed",
            where=str(path),
            received=f"{free / 1e6:,.0f} MB free",
            remedy="free some space or choose another folder",
        )


def _one_line(line: str) -> str:
    if "\n" in line:
        raise ValueError("a line to append must not hold a line break")
    return line


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _whole_size(descriptor: int) -> int:
    """The size of a file up to and with its last line break."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - CHUNK)
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _put_in_place(partial: Path, target: Path) -> None:
    old = None
    if target.is_dir() and any(target.iterdir()):
        old = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}{PARTIAL}")
        target.replace(old)
    partial.replace(target)
    if old is not None:
        shutil.rmtree(old)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
