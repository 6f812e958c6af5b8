"""Files of rows as they are handed in: compressed by every common program, cut off, several in a folder."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tutelage.errors import DataError, StorageError
from tutelage.records.importers import import_examples
from tutelage.records.tables import Row, read_rows

TEXT = "".join(f'{{"prompt": "say {n}", "completion": "{n}"}}\n' for n in range(3000))


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


def said(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.line, str(row.values["prompt"])) for row in rows]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compressed_rows_are_those_of_the_plain_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "plain.jsonl").write_text(TEXT, encoding="utf-8")
    file = tmp_path / f"rows.JSONL{suffix.upper()}"
    file.write_bytes(COMPRESSORS[suffix](TEXT.encode()))
    assert said(read_rows(file)) == said(read_rows(tmp_path / "plain.jsonl"))
    assert read_rows(file)[4].where == f"{file}:5"


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_what_is_cut_off_or_not_compressed_is_an_error_of_its_file(tmp_path: Path, suffix: str, name: str) -> None:
    whole = COMPRESSORS[suffix](TEXT.encode())
    for content in (whole[: len(whole) // 2], TEXT.encode()):
        file = tmp_path / f"{name}{suffix}"
        file.write_bytes(content)
        with pytest.raises(DataError, match=f"the {suffix[1:]} file is damaged or cut off") as wrong:
            read_rows(file)
        assert str(file) in str(wrong.value)
    with pytest.raises(StorageError, match="no such file"):
        read_rows(tmp_path / f"none.jsonl{suffix}")
    with pytest.raises(StorageError, match="no such file or folder"):
        read_rows(tmp_path / "none")


def test_a_folder_is_read_in_the_order_of_names_whatever_compresses_its_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "0.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "2", "completion": "b"}\n'))
    (tmp_path / "a.jsonl").write_text('{"prompt": "1", "completion": "a"}\n', encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "c.jsonl").write_text("no rows", encoding="utf-8")
    (tmp_path / "README.md").write_text("---", encoding="utf-8")
    assert [row.where for row in read_rows(tmp_path)] == [f"{tmp_path}/a.jsonl:1", f"{tmp_path}/b/0.jsonl.gz:1"]
    found = import_examples(tmp_path, author="me")
    assert [row.messages[-1].text for row in found] == ["a", "b"]


def test_shards_of_parquet_are_rows_of_one_data_set(tmp_path: Path) -> None:
    for number in range(3):
        table = pa.table({"prompt": [f"{number}a", f"{number}b"], "completion": ["x", "y"]})
        pq.write_table(table, tmp_path / f"train-{number:05}-of-00003.parquet")
    assert said(read_rows(tmp_path)) == [
        (line, f"{shard}{part}") for shard in range(3) for line, part in ((1, "a"), (2, "b"))
    ]


def test_faults_of_all_files_of_a_folder_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": 1, "completion": "a"}\nno\n', encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("[1]\n", encoding="utf-8")
    with pytest.raises(DataError) as wrong:
        read_rows(tmp_path)
    assert [problem.where.rpartition("/")[2].partition(",")[0] for problem in wrong.value.problems] == [
        "a.jsonl:2",
        "b.jsonl:1",
    ]


def test_a_folder_of_several_kinds_or_of_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder has no file of rows"):
        read_rows(tmp_path)
    (tmp_path / "records.jsonl").write_text('{"prompt": "1", "completion": "a"}\n', encoding="utf-8")
    (tmp_path / "ledger.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"files of several kinds \(received .json, .jsonl\). Name one of its files"):
        read_rows(tmp_path)
