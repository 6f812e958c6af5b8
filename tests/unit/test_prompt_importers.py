"""Questions in people's files: with an answer that is not read, or without."""

import json
from pathlib import Path

import pytest

from support.revising import write_rows
from tutelage.errors import DataError
from tutelage.records.importers import import_examples, import_prompts

ASKED = {"role": "user", "content": "Say hi."}
FORMS = [
    {"prompt": "Say hi."},
    {"prompt": [ASKED]},
    {"prompt": "Say hi.", "completion": "Hi."},
    {"prompt": "Say hi.", "chosen": "Hi.", "rejected": "No."},
    {"instruction": "Say hi."},
    {"instruction": "Say hi.", "output": "Hi."},
    {"messages": [ASKED]},
    {"messages": [ASKED, {"role": "assistant", "content": "Hi."}]},
    {"conversations": [{"from": "human", "value": "Say hi."}]},
]


def test_every_form_gives_the_same_prompt(tmp_path: Path) -> None:
    for number, row in enumerate(FORMS):
        (found,) = import_prompts(write_rows(tmp_path / f"{number}.jsonl", [row]))
        assert [(one.role, one.text) for one in found.messages] == [("user", "Say hi.")], row
    assert len(import_prompts(write_rows(tmp_path / "all.jsonl", FORMS))) == 1, "each question once"


def test_labels_and_earlier_turns_stay(tmp_path: Path) -> None:
    turns = [ASKED, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Again."}]
    row = {"messages": turns, "system": "Be brief.", "level": "expert", "dimension": "utility", "group": "g"}
    (found,) = import_prompts(write_rows(tmp_path / "a.jsonl", [row]))
    assert [one.role for one in found.messages] == ["system", "user", "assistant", "user"]
    assert (found.level, found.dimension, found.group) == ("expert", "utility", "g")


def test_examples_of_this_library_are_read(tmp_path: Path) -> None:
    (example,) = import_examples(write_rows(tmp_path / "a.jsonl", [FORMS[2]]), author="she")
    (found,) = import_prompts(write_rows(tmp_path / "b.jsonl", [json.loads(example.to_json())]))
    assert found.messages == example.prompt


def test_faults_are_told_by_line(tmp_path: Path) -> None:
    rows = [{"prompt": " "}, {"question": "x"}, {"messages": [{"role": "system", "content": "x"}]}, *FORMS]
    with pytest.raises(DataError) as caught:
        import_prompts(write_rows(tmp_path / "a.jsonl", rows))
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 3
    assert "a.jsonl:1: prompt" in said[0]
    assert "keys fit no known form" in said[1]
    assert "a.jsonl:3: messages: expected a question" in said[2]
