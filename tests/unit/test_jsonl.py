import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import Field

from tutelage.errors import DataError, StorageError
from tutelage.records import Record
from tutelage.records.jsonl import RecordLog, iter_records, read_records, write_records


class Point(Record):
    name: str
    x: float = Field(default=0.0, ge=0)


POINTS = [Point(name="a"), Point(name="ü\u2028\n", x=2.5)]


@pytest.mark.parametrize("name", ["points.jsonl", "points.jsonl.gz"])
def test_records_round_trip_and_equal_records_give_equal_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_records(path, POINTS) == 2
    assert read_records(path, Point) == POINTS
    first = path.read_bytes()
    write_records(path, POINTS)
    assert path.read_bytes() == first
    assert first.startswith(b"\x1f\x8b") == name.endswith("gz")


def test_byte_order_mark_carriage_returns_blank_lines_and_no_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"name": "a"}\r\n\r\n  \n{"name": "b", "x": 1}')
    assert read_records(path, Point) == [Point(name="a"), Point(name="b", x=1)]


def test_all_faults_of_a_file_come_at_once_with_file_line_key_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"name": "ok"}\n{"name": 3}\n{"nome": "a"}\n{"name": "a", "x": -1}\n{"name": "caf\xe9"}\n{"name": \n[]\n'
    )
    with pytest.raises(DataError) as caught:
        read_records(path, Point)
    text = str(caught.value).replace(str(path), "F")
    assert text == (
        "F: 7 problems:\n"
        "  - F:2: name: expected a valid string (received 3)\n"
        "  - F:3: name: expected this key. Add it\n"
        "  - F:3: nome: expected no such key (received a). Did you mean 'name'?\n"
        "  - F:4: x: expected greater than or equal to 0 (received -1)\n"
        '  - F:5: expected UTF-8 text (received byte 0xe9 at \'{"name": "café\'). Save the file as UTF-8\n'
        '  - F:6: expected valid JSON: EOF while parsing a value at line 1 column 9 (received {"name": ). '
        "Every line must be one JSON object\n"
        "  - F:7: expected an object (received [])"
    )


def test_the_first_twenty_faults_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n" * 500)
    with pytest.raises(DataError, match="500 problems in all, the first: 20 problems") as caught:
        read_records(path, Point)
    assert len(caught.value.problems) == 20


def test_good_records_stream_before_the_faults_are_raised(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"name": "a"}\n{}\n{"name": "b"}\n')
    records = iter_records(path, Point)
    assert [next(records).name, next(records).name] == ["a", "b"]
    with pytest.raises(DataError, match=r"a.jsonl:2: name"):
        next(records)


def test_a_ten_megabyte_line_works_and_the_limit_is_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, [Point(name="x" * 10_000_000), Point(name="b")])
    assert [len(point.name) for point in read_records(path, Point)] == [10_000_000, 1]
    with pytest.raises(DataError, match=r"a.jsonl:1: the line is longer than 1 MB") as caught:
        read_records(path, Point, max_line_bytes=2**20)
    assert len(caught.value.problems) == 1


def test_a_line_exactly_at_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, [Point(name="abc"), Point(name="d")])
    assert len(read_records(path, Point, max_line_bytes=len('{"name":"abc"}'))) == 2


def test_an_empty_file_is_no_records_or_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n")
    assert read_records(path, Point) == []
    with pytest.raises(DataError, match="no records"):
        read_records(path, Point, required=True)


def test_missing_utf16_and_damaged_gzip_files(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        read_records(tmp_path / "none.jsonl", Point)
    (tmp_path / "wide.jsonl").write_bytes('{"name": "a"}\n'.encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        read_records(tmp_path / "wide.jsonl", Point)
    whole = gzip.compress(b'{"name": "a"}\n' * 1000)
    for name, content in (("cut.jsonl.gz", whole[:-12]), ("not.jsonl.gz", b'{"name": "a"}\n')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="the gz file is damaged"):
            read_records(tmp_path / name, Point)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, POINTS)

    def broken() -> Iterator[Point]:
        yield POINTS[0]
        raise KeyError("source")

    with pytest.raises(KeyError):
        write_records(path, broken())
    assert read_records(path, Point) == POINTS
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_log_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "deep" / "log.jsonl", Point)
    assert log.load() == []
    log.append(*POINTS)
    with open(log.path, "ab") as file:
        file.write(b'{"name": "c\xc3')
    assert log.load() == POINTS
    log.append(Point(name="d"))
    assert [point.name for point in log.load()] == ["a", "ü\u2028\n", "d"]
    log.append()
    assert len(log.load()) == 3


def test_a_damaged_line_inside_a_log_is_named(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "log.jsonl", Point)
    log.path.write_text('{"name": "a"}\n{"name\n{"name": "b"}\n')
    with pytest.raises(DataError, match=r"log.jsonl:2: expected valid JSON"):
        log.load()
