"""Rows as a data set for other people: nothing is lost, the card says what is in it, and no half of it is there."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.report_run import make_run
from tutelage.errors import DataError, InputErrors, RunError, StorageError
from tutelage.pipeline.dataset import Released, Wanted, release
from tutelage.records import Example, Lineage, Message, Sampling, Verdict, assistant, user
from tutelage.records.importers import import_examples
from tutelage.records.jsonl import read_records, write_records
from tutelage.records.lineage import Cost
from tutelage.records.messages import TextPart, ToolCall
from tutelage.records.shards import write_shards
from tutelage.report.dataset_card import LANGUAGE_ROWS, Origin, dataset_card, languages

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SAID = WORDS.filter(str.strip)
VALUES = st.one_of(st.integers(-9, 9), WORDS, st.none(), st.lists(WORDS, max_size=2))
ARGUMENTS = st.dictionaries(SAID, VALUES, max_size=2)
CALLS = st.builds(ToolCall, name=SAID, arguments=ARGUMENTS, id=WORDS)
VERDICTS = st.builds(Verdict, score=st.sampled_from([None, 0.0, 0.5, 1.0]), reason=WORDS)
ANSWER = "Yes, that is so, and it stays so."


@st.composite
def turns(draw: st.DrawFn) -> tuple[Message, ...]:
    parts = draw(st.lists(SAID, min_size=1, max_size=2))
    answer = Message(
        role="assistant",
        content=tuple(TextPart(kind="text", text=part) for part in parts),
        reasoning=draw(WORDS),
        tool_calls=tuple(draw(st.lists(CALLS, max_size=1))),
    )
    return (*draw(st.sampled_from([(), (Message.of("system", "Be brief."),)])), user(draw(SAID)), answer)


@st.composite
def rows(draw: st.DrawFn) -> list[Example]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        lineage = Lineage(
            paradigm=draw(st.sampled_from(["expert", "distill", "self"])),
            source=draw(SAID),
            author=draw(SAID),
            parents=tuple(draw(st.lists(WORDS, max_size=2))),
            sampling=draw(st.sampled_from([None, Sampling(temperature=0.7, max_tokens=5)])),
            verdicts=tuple(draw(st.lists(VERDICTS, max_size=2))),
            cost=Cost(completion_tokens=draw(st.one_of(st.none(), st.integers(0, 99)))),
        )
        labels = {"dimension": draw(WORDS), "level": draw(st.sampled_from([None, "basic", "expert"]))}
        made.append(Example(id=f"{number}", messages=draw(turns()), lineage=lineage, **labels))
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(rows(), st.integers(1, 3))
def test_what_is_written_is_read_as_it_was(tmp_path: Path, made: list[Example], shard_rows: int) -> None:
    folder = tmp_path / "shards"
    shutil.rmtree(folder, ignore_errors=True)
    files = write_shards(folder, made, shard_rows=shard_rows)
    assert [file.name for file in files] == [
        f"train-{n:05}-of-{len(files):05}.parquet" for n in range(-(-len(made) // shard_rows))
    ]
    assert import_examples(folder, author="nobody") == made


def example(number: int, text: str = ANSWER, **lineage: object) -> Example:
    given = Lineage.model_validate({"paradigm": "expert", "source": "examples", "author": "Dr. Grün", **lineage})
    return Example(id=f"row-{number}", messages=(user(f"Is {number} | even?"), assistant(text)), lineage=given)


def test_columns_are_what_a_trainer_takes_and_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    verdicts = (Verdict(score=0.0, reason="no"), Verdict(score=1.0, reason="yes"))
    made = [example(1), example(2, paradigm="distill", author="big", verdicts=verdicts)]
    (file,) = write_shards(tmp_path / "a", made)
    found = pq.read_table(file).to_pylist()
    turns = [{"role": "user", "content": "Is 2 | even?"}, {"role": "assistant", "content": ANSWER}]
    assert found[1]["messages"] == turns
    assert [row["score"] for row in found] == [None, 1.0]
    assert [row["turns"] for row in found] == [None, None]
    assert json.loads(found[1]["lineage"])["verdicts"][0]["reason"] == "no"
    assert write_shards(tmp_path / "b", made)[0].read_bytes() == file.read_bytes()


def test_other_programs_load_it_by_its_card(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_records(tmp_path / "rows.jsonl", [example(number) for number in range(5)])
    made = release(tmp_path / "rows.jsonl", tmp_path / "set", Wanted(license="CC-BY-4.0", name="evens"))
    loaded = datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"][:] == [f"row-{number}" for number in range(5)]
    assert made == Released.from_json((tmp_path / "set/dataset.json").read_bytes())
    assert set(made.files) == {"README.md", "data/train-00000-of-00001.parquet"}
    head = yaml.safe_load((tmp_path / "set/README.md").read_text(encoding="utf-8").split("---")[1])
    assert head["license"] == "cc-by-4.0"
    assert head["language"] == ["en"]
    assert head["size_categories"] == ["n<1K"]


def test_the_card_counts_sources_and_keeps_texts_to_itself() -> None:
    judged = (Verdict(score=0.5, reason="half"),)
    made = [example(1), example(2, paradigm="distill", source="a|b", author="big", verdicts=judged)]
    card = dataset_card("evens", made, origin=Origin("rows.jsonl"))
    assert "| Expert annotation | examples | Dr. Grün | 1 | 0 | nobody judged them |" in card
    assert "| Distillation | a\\|b | big | 1 | 1 | 0.500 |" in card
    assert "Not stated: whoever releases it must say it." in card
    assert "Answers by big: the terms" in card
    assert "that is so" not in card
    assert "even?" not in card


def test_the_card_says_which_answers_people_wrote_in_documents() -> None:
    found = [example(1), example(2, paradigm="self", source="back_translation", author="whoever wrote the documents")]
    card = dataset_card("mine", found, origin=Origin("rows.jsonl"))
    assert "- 1 answer: passages of documents as they stand, by whoever wrote these." in card
    assert "Answers by whoever" not in card


def test_languages_are_those_of_the_answers() -> None:
    german = "Das ist gewiss so, und es bleibt auch in der nächsten Woche noch so."
    made = [example(1), example(2, german), example(3, german), example(4, "7")]
    found = languages(made)
    assert next(iter(found.items())) == ("de", 0.5)
    assert found["en"] == 0.25
    assert found[""] == 0.25
    many = languages([example(n) for n in range(LANGUAGE_ROWS + 1)])
    assert many == {"en": 1.0}


def test_a_run_is_released_with_its_ledger(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    made = release(run.path, tmp_path / "set", Wanted())
    round = run.best.round
    assert made.round == round
    kept = read_records(run.path / f"rounds/{round}/curate/records.jsonl", Example)
    assert import_examples(tmp_path / "set/data", author="x") == kept
    card = (tmp_path / "set/README.md").read_text(encoding="utf-8")
    assert f"round {round} of the run ward-7" in card
    assert "rows came in" in card
    assert "Contamination: of the" in card
    assert "Apache-2.0" in card
    other = release(run.path, tmp_path / "other", Wanted(round=2))
    assert other.round == 2


def test_what_cannot_be_released_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(RunError, match=r"round 9 is not curated. Take one of 1, 2"):
        release(run.path, tmp_path / "set", Wanted(round=9))
    picture = {"role": "user", "content": [{"kind": "image", "uri": "a.png"}]}
    lineage = {"paradigm": "expert", "source": "s", "author": "a"}
    row = {"id": "seen", "messages": [picture, {"role": "assistant", "content": "A cat."}], "lineage": lineage}
    (tmp_path / "seen.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(InputErrors, match=r"1 row refers to images or recordings.*received seen"):
        release(tmp_path / "seen.jsonl", tmp_path / "set", Wanted())
    write_records(tmp_path / "rows.jsonl", [example(1)])
    with pytest.raises(InputErrors, match="rows of a file have no round"):
        release(tmp_path / "rows.jsonl", tmp_path / "set", Wanted(round=1))
    assert not (tmp_path / "set").exists()
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        release(tmp_path / "rows.jsonl", tmp_path / "set", Wanted())
    assert [entry.name for entry in (tmp_path / "set").iterdir()] == ["mine.txt"]


def test_a_damaged_lineage_is_named(tmp_path: Path) -> None:
    (file,) = write_shards(tmp_path / "data", [example(1), example(2)])
    table = pq.read_table(file)
    broken = table.set_column(table.column_names.index("lineage"), "lineage", [["{", table["lineage"][1].as_py()]])
    pq.write_table(broken, file)
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet:1: lineage.*not valid JSON"):
        import_examples(tmp_path / "data", author="x")
