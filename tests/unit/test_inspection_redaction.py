"""With ``--redact`` no output has a word of a row: no text, id, person, detail of a step or phrase of a benchmark."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tutelage.cli.app import app
from tutelage.records.inspection import Inspection

WORDS = ("krill", "whale", "jane", "roe", "ann", "apples", "baleen", "secret", "twelve")
QUESTION = "How many apples does Ann have left if she gives three of her twelve apples to her brother Tom?"
FRAME = "Read what follows with all the care that you have and then choose the one answer that is right of these"


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    monkeypatch.chdir(tmp_path)
    lineage = {"paradigm": "expert", "source": "notes", "author": "Jane"}
    texts = [
        *((f"Tell me of the whale and its krill {n}.", f"Baleen, krill {n}") for n in range(12)),
        ("Hi <|Jane Roe|>", "x"),
        ("Go on.", QUESTION),
    ]
    found: list[dict[str, object]] = [
        {
            "id": f"jane.roe{n}@hospital.org",
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}],
            "lineage": lineage,
            "level": "basic",
            "facet": "secret",
        }
        for n, (asked, answer) in enumerate(texts)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    items = [{"question": QUESTION, "answer": "9"}, *({"question": f"{FRAME} baleen: {n}?"} for n in range(6))]
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return found


def outputs(home: Path, *more: str) -> list[str]:
    words = ["rows.jsonl", "--against", "exam.jsonl", "--page", "p.html", "--json", "f.json", "--model", "tiny", *more]
    done = CliRunner().invoke(app, ["inspect", *words, "--max-tokens", "30"])
    assert done.exit_code == 0, done.output
    return [done.output, (home / "p.html").read_text(), (home / "f.json").read_text()]


def test_no_output_has_a_word_of_a_row(rows: list[dict[str, object]], tmp_path: Path) -> None:
    for text in outputs(tmp_path, "--redact"):
        shown = text.partition("</style>")[2] or text
        assert set(WORDS) & set(re.findall("[a-z]+", shown.casefold())) == set()
    found = Inspection.from_json((tmp_path / "f.json").read_text())
    assert set(found.labels) == {"paradigm", "source", "level"}
    assert found.overlaps[0].rows == 1
    assert ("validate", "control tokens of a chat template") in {(one.step, one.what) for one in found.findings}
    assert len({one.id for one in found.extremes}) == len(found.extremes), "rows are still told apart"


def test_without_it_there_are_such_words(rows: list[dict[str, object]], tmp_path: Path) -> None:
    _, page, figures = outputs(tmp_path)
    for text in (page, figures):
        assert set(WORDS) <= set(re.findall("[a-z]+", text.casefold()))
    assert "boilerplate" in figures
