"""Examples as shards of Parquet that hubs show and any trainer reads, and that are read back as they were.

| column | what it holds |
| --- | --- |
| ``id`` | the row's own |
| ``messages`` | turns of ``role`` and ``content``, as chat templates take them |
| ``task``, ``dimension``, ``level``, ``facet``, ``group`` | where it belongs; null where that is not said |
| ``paradigm``, ``source``, ``author`` | how it was made, and who wrote the answer |
| ``score`` | of the last verdict on the answer, 0 to 1; null: nobody judged it |
| ``lineage`` | JSON: parents, prompt, sampling, seed, verdicts, evidence and cost |
| ``turns`` | JSON of all turns, only where they hold more than text (reasoning, tool calls, media); else null |
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from tutelage.files import storage
from tutelage.records.examples import Example
from tutelage.records.messages import Message, TextPart

SHARD_ROWS = 100_000
BATCH = 1024
SPLIT = "train"
TURNS = "turns"
_LABELS = ("task", "dimension", "level", "facet", "group")
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("messages", pa.list_(_TURN)),
        *((name, pa.string()) for name in (*_LABELS, "paradigm", "source", "author")),
        ("score", pa.float64()),
        ("lineage", pa.string()),
        (TURNS, pa.string()),
    ]
)


def write_shards(folder: Path, rows: Sequence[Example], *, shard_rows: int = SHARD_ROWS) -> list[Path]:
    """Write ``rows`` in their order as ``train-00000-of-0000N.parquet`` (zstd) and return the files.

    Equal rows give equal bytes with one version of pyarrow. Raises :class:`StorageError`.
    """
    starts = range(0, len(rows), shard_rows)
    files = []
    for number, start in enumerate(starts):
        file = folder / f"{SPLIT}-{number:05}-of-{len(starts):05}.parquet"
        with storage(file, "write the rows"):
            folder.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
                for batch in _batches(rows[start : start + shard_rows]):
                    writer.write_table(batch)
        files.append(file)
    return files


def whole_values(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the values of a row that :func:`write_shards` wrote as those of its example.

    Raises ``ValueError`` for a column that should hold JSON and does not.
    """
    found: dict[str, JsonValue] = {name: values[name] for name in ("id", "messages", *_LABELS) if name in values}
    for column, key in (("lineage", "lineage"), (TURNS, "messages")):
        if isinstance(text := values.get(column), str):
            try:
                found[key] = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(f"{column}: not valid JSON: {error.msg}") from None
    return found


def _batches(rows: Sequence[Example]) -> Iterator[pa.Table]:
    for start in range(0, len(rows), BATCH):
        yield pa.Table.from_pylist([_flat(row) for row in rows[start : start + BATCH]], schema=SCHEMA)


def _flat(row: Example) -> dict[str, object]:
    lineage = row.lineage
    scores = [verdict.score for verdict in lineage.verdicts[-1:]]
    turns = None
    if not all(map(_is_text, row.messages)):
        turns = json.dumps([one.model_dump(mode="json", exclude_defaults=True) for one in row.messages])
    return {
        "id": row.id,
        "messages": [{"role": message.role, "content": message.text} for message in row.messages],
        **{name: getattr(row, name) or None for name in _LABELS},
        "paradigm": lineage.paradigm,
        "source": lineage.source,
        "author": lineage.author,
        "score": scores[0] if scores else None,
        "lineage": lineage.to_json(),
        TURNS: turns,
    }


def _is_text(message: Message) -> bool:
    """Whether role and text say all of a message."""
    return message == Message(role=message.role, content=(TextPart(kind="text", text=message.text),))
