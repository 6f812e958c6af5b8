"""Rows of Parquet files, whose columns have types: what is no JSON there is left out by column."""

import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from tutelage.files import storage

BATCH = 1024
PLAIN = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_null,
)


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    """Yield number (from 1) and values of each row; a value that is null is absent, in structures too, and so is NaN.

    Columns of binary values, times and other things that JSON does not have are not read: rows to learn from are text.
    Memory: one batch. Raises :class:`StorageError`; ``pyarrow.ArrowInvalid`` for what is no Parquet file.
    """
    with storage(path, "read the file"), pq.ParquetFile(path) as file:
        columns = [field.name for field in file.schema_arrow if _is_json(field.type)]
        number = 0
        for batch in file.iter_batches(BATCH, columns=columns):
            for values in batch.to_pylist():
                number += 1
                yield number, {name: _present(value) for name, value in values.items() if not _is_absent(value)}


def _is_json(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_is_json(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_json(kind.value_type)
    if pa.types.is_dictionary(kind):
        return _is_json(kind.value_type)
    return any(is_kind(kind) for is_kind in PLAIN)


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _present(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if not _is_absent(inner)}
    if isinstance(value, list):
        return [_present(inner) for inner in value]
    return value
