"""The head of a GGUF file: its plain metadata, read in milliseconds (format: the ggml project's gguf specification)."""

import struct
from pathlib import Path
from typing import BinaryIO

from tutelage.errors import ModelError
from tutelage.files import storage

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)


def read_metadata(path: Path) -> dict[str, str | int | float | bool]:
    """Return the scalar and text entries of a GGUF file; arrays are passed over.

    Raises :class:`ModelError` when the file is not GGUF, is of an unknown version or ends inside its head.
    """
    with storage(path, "read the file"), open(path, "rb") as file:
        size = path.stat().st_size
        try:
            if file.read(4) != b"GGUF":
                raise broken_gguf(path, "it does not begin with GGUF")
            version = _number(file, "I")
            if version not in _VERSIONS:
                raise broken_gguf(path, f"version {version}")
            _, entries = _number(file, "Q"), _number(file, "Q")
            found: dict[str, str | int | float | bool] = {}
            for _ in range(int(entries)):
                key = _text(file, size)
                value = _value(file, int(_number(file, "I")), size)
                if value is not None:
                    found[key] = value
        except (struct.error, UnicodeDecodeError, KeyError) as fault:
            raise broken_gguf(path, "it is cut off or damaged") from fault
    return found


def _value(file: BinaryIO, kind: int, size: int) -> str | int | float | bool | None:
    if kind == _STRING:
        return _text(file, size)
    if kind != _ARRAY:
        return _number(file, _SCALARS[kind])
    inner, count = int(_number(file, "I")), int(_number(file, "Q"))
    if inner in _SCALARS:
        file.seek(count * struct.calcsize(_SCALARS[inner]), 1)
    else:
        for _ in range(count):
            _value(file, inner, size)
    return None


def _number(file: BinaryIO, form: str) -> int | float | bool:
    value: int | float | bool = struct.unpack(f"<{form}", file.read(struct.calcsize(form)))[0]
    return value


def _text(file: BinaryIO, size: int) -> str:
    length = int(_number(file, "Q"))
    if length > size:  # a damaged length must not ask for all memory
        raise struct.error("length beyond the end of the file")
    return file.read(length).decode()


def broken_gguf(path: Path, received: str) -> ModelError:
    """Return the error for a GGUF file that cannot be read."""
    return ModelError(
        "this GGUF file cannot be read",
        where=str(path),
        received=received,
        remedy="fetch the file again, or use a model folder or hub id",
    )
