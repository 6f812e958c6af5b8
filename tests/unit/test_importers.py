import gzip
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tutelage.errors import DataError, StorageError
from tutelage.records import Example
from tutelage.records.importers import import_examples
from tutelage.records.jsonl import write_records
from tutelage.records.tables import read_rows

FORMS = {
    "messages": {"messages": [{"role": "user", "content": "Say hi."}, {"role": "assistant", "content": "Hi."}]},
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Say hi."}]},
            {"role": "assistant", "content": "Hi."},
        ]
    },
    "sharegpt": {"conversations": [{"from": "human", "value": "Say hi."}, {"from": "gpt", "value": "Hi."}]},
    "alpaca": {"instruction": "Say hi.", "input": "", "output": "Hi."},
    "completion": {"prompt": "Say hi.", "completion": "Hi."},
    "response": {"prompt": "Say hi.", "response": "Hi."},
    "conversational": {
        "prompt": [{"role": "user", "content": "Say hi."}],
        "completion": [{"role": "assistant", "content": "Hi."}],
    },
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def turns(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in example.messages]


def test_every_form_gives_the_same_example(tmp_path: Path) -> None:
    examples = import_examples(write(tmp_path / "a.jsonl", *FORMS.values()), author="Dr. Ada", task="rows")
    assert len(examples) == len(FORMS)
    assert len({example.to_json() for example in examples}) == 1
    assert turns(examples[0]) == [("user", "Say hi."), ("assistant", "Hi.")]
    assert examples[0].lineage.paradigm == "expert"
    assert examples[0].lineage.author == "Dr. Ada"
    assert examples[0].task == "rows"


def test_system_input_and_labels(tmp_path: Path) -> None:
    row = {
        "system": "Be brief.",
        "instruction": "Translate.",
        "input": "Hund",
        "output": "dog",
        "level": "expert",
        "group": "g1",
        "dimension": "utility",
        "note": "not read",
    }
    (example,) = import_examples(write(tmp_path / "a.json", row), author="a", dimension="other")
    assert turns(example) == [("system", "Be brief."), ("user", "Translate.\n\nHund"), ("assistant", "dog")]
    assert (example.level, example.group, example.dimension) == ("expert", "g1", "utility")


def test_tool_calls_and_reasoning_of_the_chat_form(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    row = {
        "messages": [
            {"role": "user", "content": "Add."},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "I need the tool."},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "assistant", "content": "2"},
        ]
    }
    (example,) = import_examples(write(tmp_path / "a.jsonl", row), author="a")
    asked = example.messages[1]
    assert (asked.tool_calls[0].name, asked.tool_calls[0].arguments, asked.tool_calls[0].id) == ("add", {"a": 1}, "c1")
    assert asked.reasoning == "I need the tool."
    assert example.messages[2].tool_call_id == "c1"


def test_examples_of_our_own_keep_their_lineage(tmp_path: Path) -> None:
    (example,) = import_examples(write(tmp_path / "a.jsonl", FORMS["alpaca"]), author="first")
    write_records(tmp_path / "own.jsonl", [example])
    assert import_examples(tmp_path / "own.jsonl", author="second") == [example]


def test_all_faults_at_once_by_file_line_and_key(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        FORMS["messages"],
        {"question": "?", "answer": "!"},
        {"messages": [{"role": "user", "content": "a"}]},
        {"conversations": [{"from": "alien", "value": "a"}]},
        {"instruction": " ", "output": "x"},
        {"prompt": "a", "response": ""},
        {"messages": "none"},
        {"prompt": "a", "response": "b", "level": "hard"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
        {"prompt": 3, "response": "b"},
    )
    with pytest.raises(DataError) as caught:
        import_examples(path, author="a")
    lines = [str(problem).replace(f"{path}:", "") for problem in caught.value.problems]
    assert [line.split(" (")[0].removesuffix(". Write it or remove the row") for line in lines] == [
        "2: the keys fit no known form",
        "3: messages.0.role: the last turn must be the assistant's",
        "4: conversations.0.role: expected system, user, assistant or tool",
        "5: instruction: expected a text that is not empty",
        "6: response: expected a text that is not empty",
        "7: messages: expected a list of turns as JSON: Expecting value: line 1 column 1",
        "8: level: expected 'basic', 'intermediate', 'advanced' or 'expert'",
        "9: messages: no turn of a user",
        "10: messages.0.content.0: expected a part of type text or image_url",
        "11: prompt: expected a text",
    ]


def test_json_arrays_know_the_lines_of_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([FORMS["alpaca"], FORMS["response"]], indent=1))
    assert [row.line for row in read_rows(path)] == [2, 7]
    assert len(import_examples(path, author="a")) == 2
    path.write_text('\n[\n {"prompt": "a"},\n\n {"prompt": "b",}\n]')
    with pytest.raises(DataError, match=r"a.json:5: not valid JSON: .*\(received"):
        read_rows(path)
    path.write_text('[{"prompt": "a"}\n {"prompt": "b"}]')
    with pytest.raises(DataError, match=r"a.json:2: expected a comma or the end of the array"):
        read_rows(path)
    path.write_text("[1, {}]")
    with pytest.raises(DataError, match=r"a.json:1: expected a JSON object \(received 1\)"):
        read_rows(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="no rows"):
        read_rows(path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('\ufeffprompt,response\r\n"Say, hi.","H""i\nyou"\r\n\r\nb,c\r\n', "a.csv"),
        ('prompt;response\n"Say, hi.";"H""i\nyou"\n\nb;c', "a.csv"),
        ('prompt\tresponse\nSay, hi.\t"H""i\nyou"\n\nb\tc\n', "a.tsv"),
    ],
)
def test_csv_with_quotes_line_breaks_and_separators(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    rows = read_rows(tmp_path / name)
    assert [(row.line, row.values) for row in rows] == [
        (2, {"prompt": "Say, hi.", "response": 'H"i\nyou'}),
        (5, {"prompt": "b", "response": "c"}),
    ]
    (tmp_path / (name + ".gz")).write_bytes(gzip.compress(text.encode()))
    again = read_rows(tmp_path / (name + ".gz"))
    assert [(row.line, row.values) for row in again] == [(row.line, row.values) for row in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"prompt,response\na,b\na,b,c\n", r"a.csv:3: expected 2 cells, as in the header \(received 3: a,b,c\)"),
        (b"prompt,prompt\na,b\n", "a.csv:1: a column has no name or two have the same"),
        (b'prompt,response\na,"b\n', "a.csv:2: not valid CSV"),
        (b"prompt,response\na,b\ncaf\xe9,b\n", "a.csv:3: expected UTF-8 text"),
        (b"prompt,response\n", "no rows"),
        (b"", "no rows"),
    ],
)
def test_csv_faults(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "a.csv")


def test_a_large_csv_cell_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,response\na," + "b" * 10_000_000)
    assert len(str(read_rows(tmp_path / "a.csv")[0].values["response"])) == 10_000_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"prompt": ' + "[" * 100_000, "nested too deeply"),
        ('{"prompt": "a"', "not valid JSON"),
        ('"text"', "expected a JSON object"),
    ],
)
def test_json_faults(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "a.jsonl")


def test_unknown_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"unknown kind of file \(received .xlsx\). Use .jsonl"):
        read_rows(tmp_path / "a.xlsx")
    for name in ("a.csv", "a.jsonl"):
        with pytest.raises(StorageError, match="no such file"):
            read_rows(tmp_path / name)


def test_lone_surrogates_are_faults_and_not_tracebacks(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "a\\ud83d", "response": "b"}\n')
    with pytest.raises(DataError, match=r"a.jsonl:1: half a surrogate pair"):
        import_examples(tmp_path / "a.jsonl", author="a")


def test_parquet_says_what_the_same_rows_say_as_json_lines(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "name": "b"}], "n": 1},
        {"messages": [{"role": "user", "content": "ä"}, {"role": "assistant", "content": "ö"}], "n": None},
    ]
    columns = {"messages": [row["messages"] for row in rows], "n": [row["n"] for row in rows]}
    others = {"picture": [b"\x89PNG", None], "made": [datetime(2026, 1, 1, tzinfo=UTC), None], "share": [0.5, math.nan]}
    pq.write_table(pa.table(columns | others), tmp_path / "rows.parquet")
    found = read_rows(tmp_path / "rows.parquet")
    assert [row.line for row in found] == [1, 2]
    assert found[0].values == rows[0] | {"share": 0.5}
    assert found[1].values == {"messages": rows[1]["messages"]}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    examples = [
        [example.messages for example in import_examples(tmp_path / f"rows.{kind}", author="expert")]
        for kind in ("parquet", "jsonl")
    ]
    assert examples[0] == examples[1]


def test_parquet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b'{"prompt": "Hi", "response": "Ho"}\n')
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_rows(tmp_path / "a.parquet")
    pq.write_table(pa.table({"prompt": ["x" * 1000] * 500}), tmp_path / "b.parquet")
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_rows(tmp_path / "b.parquet")
    pq.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="no rows"):
        read_rows(tmp_path / "c.parquet")
    with pytest.raises(StorageError, match="no such file"):
        read_rows(tmp_path / "d.parquet")
