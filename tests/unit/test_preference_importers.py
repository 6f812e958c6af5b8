import csv
import json
from pathlib import Path

import pytest

from tutelage.errors import DataError
from tutelage.records import Preference, assistant, user
from tutelage.records.importers import import_examples, import_preferences, import_unpaired, kind_of
from tutelage.records.jsonl import write_records

ASKED = [{"role": "user", "content": "Say hi."}]
PAIRS = {
    "texts": {"prompt": "Say hi.", "chosen": "Hi.", "rejected": "No."},
    "turns": {
        "prompt": ASKED,
        "chosen": [{"role": "assistant", "content": "Hi."}],
        "rejected": [{"role": "assistant", "content": "No."}],
    },
    "conversations": {
        "chosen": [*ASKED, {"role": "assistant", "content": "Hi."}],
        "rejected": [*ASKED, {"role": "assistant", "content": "No."}],
    },
    "thrice": {
        "prompt": "Say hi.",
        "chosen": [*ASKED, {"role": "assistant", "content": "Hi."}],
        "rejected": [*ASKED, {"role": "assistant", "content": "No."}],
    },
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Say hi."}],
        "chosen": {"from": "gpt", "value": "Hi."},
        "rejected": {"from": "gpt", "value": "No."},
    },
    "messages": {"messages": ASKED, "chosen": {"role": "assistant", "content": "Hi."}, "rejected": "No."},
    "alpaca": {"instruction": "Say hi.", "input": "", "chosen": "Hi.", "rejected": "No."},
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(error: pytest.ExceptionInfo[DataError], path: Path) -> list[str]:
    return [f"{problem.where}: {problem.what}".replace(f"{path}:", "") for problem in error.value.problems]


def test_every_form_gives_the_same_pair(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *PAIRS.values())
    pairs = import_preferences(path, author="Dr. Ada")
    assert kind_of(path) == "pairs"
    assert len(pairs) == len(PAIRS)
    assert len({pair.to_json() for pair in pairs}) == 1
    assert (pairs[0].prompt, pairs[0].chosen, pairs[0].rejected) == (
        (user("Say hi."),),
        assistant("Hi."),
        assistant("No."),
    )
    assert pairs[0].lineage.author == "Dr. Ada"


def test_pairs_in_cells_of_a_table(tmp_path: Path) -> None:
    with open(tmp_path / "a.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "prompt", "chosen", "rejected"])
        writer.writerow(["Be kind.", "Say hi.", json.dumps(PAIRS["turns"]["chosen"]), '[{"a": 1}] is JSON'])
        turned = json.dumps([{"content": "Hi.", "role": "assistant"}]), json.dumps({"from": "gpt", "value": "No."})
        writer.writerow(["", json.dumps(ASKED), *turned])
        writer.writerow(["", "Say hi.", '[{"role": "admin"}]', '{"a": 1}'])
    pair, turns, texts = import_preferences(tmp_path / "a.csv", author="a")
    assert (turns.prompt, turns.chosen.text, turns.rejected.text) == ((user("Say hi."),), "Hi.", "No.")
    assert (texts.chosen.text, texts.rejected.text) == ('[{"role": "admin"}]', '{"a": 1}')
    assert [message.role for message in pair.prompt] == ["system", "user"]
    assert pair.chosen.text == "Hi."
    assert pair.rejected.text == '[{"a": 1}] is JSON'


def test_pairs_of_our_own_keep_their_lineage(tmp_path: Path) -> None:
    (pair,) = import_preferences(write(tmp_path / "a.jsonl", PAIRS["texts"]), author="first")
    write_records(tmp_path / "own.jsonl", [pair])
    assert import_preferences(tmp_path / "own.jsonl", author="second") == [pair]


def test_all_faults_of_pairs_at_once_by_file_line_and_key(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        PAIRS["texts"],
        {"prompt": "a", "chosen": "b"},
        {"prompt": "a", "chosen": "b", "rejected": "b"},
        {"prompt": "a", "chosen": " ", "rejected": "b"},
        {"chosen": "b", "rejected": "c"},
        {"prompt": [*ASKED, {"role": "assistant", "content": "x"}], "chosen": "b", "rejected": "c"},
        {"prompt": [{"role": "system", "content": "x"}], "chosen": "b", "rejected": "c"},
        {"prompt": "a", "chosen": PAIRS["conversations"]["chosen"], "rejected": "c"},
        {"prompt": "a", "chosen": {"role": "user", "content": "b"}, "rejected": "c"},
        {"prompt": "a", "chosen": "b", "rejected": "c", "level": "hard"},
        {"prompt": "a", "chosen": "[{'role': 'assistant', 'content': 'b'}]", "rejected": "c"},
        {"prompt": "a", "chosen": [{"role": "assistant", "content": "b"}] * 2, "rejected": "c"},
    )
    with pytest.raises(DataError) as caught:
        import_preferences(path, author="a")
    assert said(caught, path) == [
        "2: rejected: the answer is missing",
        "3: rejected: both answers are the same",
        "4: chosen: expected a text that is not empty",
        "5: chosen and rejected are no answers to the same question",
        "6: prompt: the question ends in an answer",
        "7: prompt: no turn of a user",
        "8: chosen: expected one answer",
        "9: chosen.role: the last turn must be the assistant's",
        "10: level: expected 'basic', 'intermediate', 'advanced' or 'expert'",
        "11: chosen: expected turns as JSON",
        "12: chosen: expected one answer",
    ]


@pytest.mark.parametrize("label", [True, 1, "true", "Yes", "1"])
def test_answers_that_are_wanted_and_not(tmp_path: Path, label: object) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"messages": [*ASKED, {"role": "assistant", "content": "Hi."}], "label": label},
        {"prompt": "Say hi.", "completion": "No.", "label": False},
    )
    assert kind_of(path) == "unpaired"
    rows = import_unpaired(path, author="a")
    assert [(row.prompt, row.answer.text, row.wanted) for row in rows] == [
        ((user("Say hi."),), "Hi.", True),
        ((user("Say hi."),), "No.", False),
    ]
    assert len({row.id for row in rows}) == 2


def test_a_pair_counts_as_one_answer_of_each_kind(tmp_path: Path) -> None:
    rows = import_unpaired(write(tmp_path / "a.jsonl", PAIRS["texts"]), author="a")
    assert [(row.answer.text, row.wanted) for row in rows] == [("Hi.", True), ("No.", False)]
    assert all(row.prompt == (user("Say hi."),) for row in rows)


def test_labels_that_say_neither(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"prompt": "a", "completion": "b", "label": "good"},
        {"prompt": "a", "completion": "b"},
        {"completion": "b", "label": True},
    )
    with pytest.raises(DataError) as caught:
        import_unpaired(path, author="a")
    assert said(caught, path) == [
        "1: label: expected true or false",
        "2: label: expected true or false",
        "3: the keys fit no known form",
    ]


def test_examples_with_other_columns_stay_examples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "a", "completion": "b", "note": "x"})
    assert kind_of(path) == "examples"
    assert kind_of(write(tmp_path / "d.jsonl", {"prompt": "a", "completion": "b", "label": "sports"})) == "examples"
    labelled = write(tmp_path / "b.jsonl", {"prompt": "a", "completion": "b", "label": True})
    assert import_examples(labelled, author="a")[0].target.text == "b"
    assert isinstance(import_preferences(write(tmp_path / "c.jsonl", PAIRS["alpaca"]), author="a")[0], Preference)


def test_a_margin_is_a_number_or_absent(tmp_path: Path) -> None:
    rows = [PAIRS["texts"] | {"margin": value} for value in (2, "0.5", None, "")]
    pairs = import_preferences(write(tmp_path / "a.jsonl", *rows, PAIRS["texts"]), author="a")
    assert [pair.margin for pair in pairs] == [2.0, 0.5, 0.0, 0.0, 0.0]
    write_records(tmp_path / "own.jsonl", pairs)
    assert import_preferences(tmp_path / "own.jsonl", author="b") == pairs
    path = write(tmp_path / "b.jsonl", *(PAIRS["texts"] | {"margin": value} for value in ("much", True, [1], "nan")))
    with pytest.raises(DataError) as error:
        import_preferences(path, author="a")
    assert said(error, path) == [f"{line}: margin: expected a number" for line in (1, 2, 3, 4)]
