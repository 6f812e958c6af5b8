"""A run whose rows come from documents: told before it begins, asked once, curated, learned; nothing half-begun."""

import json
from pathlib import Path

import pytest

from support.endpoint import Misbehaviour, endpoint
from support.papers import docx, pdf
from tutelage.errors import RecipeError, RunError
from tutelage.events import Event
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.records import Answer, Dropped, Example
from tutelage.records.jsonl import read_records
from tutelage.records.ledger import Ledger
from tutelage.records.tradeoff import TradeOff
from tutelage.runs import RunDirectory

RECIPE = """
name: read
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: rows.jsonl}]
construct:
  max_tokens: 8
  expert: {per_cell: 4}
  self_improve: null
  rehearsal: null
  sources:
    - {kind: documents, path: docs, levels: [basic], per_chunk: 1, unanswerable: 0.4, max_tokens: 90}
  distill:
    teacher: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}
tune: {epochs: 1}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
THINGS = ("Pumps", "Valves", "Filters", "Hoses", "Motors", "Gauges")
LEAKED = "Hoses"
AND_THEN = (
    "Rust is brushed off with wire, and the joints get a drop of oil before winter.",
    "None is opened by hand while steam passes, because the wheel turns back with force.",
    "They are washed in warm water without soap and dried on the roof of the shed.",
    "A spare one hangs beside the door, coiled, with the date of its purchase on a tag.",
    "Noise at night means worn bearings, which a mechanic from the town replaces in an hour.",
    "Glass that is blind is polished, and the needle must stand at zero when nothing runs.",
)


def about(thing: str, number: int) -> str:
    then = AND_THEN[number % len(AND_THEN)]
    return f"{thing} are looked at every {number + 3} months by the keeper, who writes down what was found. {then}"


def said(thing: str, number: int) -> str:
    quote = f"{thing} are looked at every {number + 3} months"
    answer = {"question": f"How often are {thing} seen?", "answer": f"Every {number + 3} months.", "quotes": [quote]}
    return json.dumps(answer)


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with rows, of which one holds out what a document says, and documents of four kinds."""
    rows = [{"prompt": f"Say {word}.", "reference": f"{word} it is."} for word in "abcdefghijkl"]
    rows = [{**row, "split": split} for row, split in zip(rows, ["train", "probe", "gate", "test"] * 3, strict=True)]
    rows.append({"prompt": about(LEAKED, 3), "reference": "So it is.", "split": "test"})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = tmp_path / "docs"
    folder.mkdir()
    for number, thing in enumerate(THINGS):
        text = about(thing, number)
        match number % 4:
            case 0:
                (folder / f"{thing}.txt").write_text(text)
            case 1:
                (folder / f"{thing}.md").write_text(f"# {thing}\n\n{text}\n")
            case 2:
                (folder / f"{thing}.docx").write_bytes(docx([("Heading1", thing), ("", text)]))
            case 3:
                lines = text.split(". ")
                (folder / f"{thing}.pdf").write_bytes(pdf([[f"{lines[0]}.", lines[1]]]))
    return tmp_path


def behaviour(**more: object) -> Misbehaviour:
    texts = {f"{thing} are looked at": (said(thing, number),) for number, thing in enumerate(THINGS)}
    texts["Motors are looked at"] = ("Let me see.", said("Motors", 4))
    return Misbehaviour(texts=texts, **more)  # type: ignore[arg-type]


def test_a_run_learns_from_documents(reader: Path) -> None:
    file, out, told = reader / "recipe.yaml", reader / "run", list[Event]()
    with endpoint(behaviour(schemas="refused")) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        recipe = load_recipe(file)
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out, emit=told.append)
        paid = server.paid.total()
        assert paid == 7, "one for each passage, and one that was asked again"
        run(recipe, out, emit=told.append)
        assert server.paid.total() == paid, "what is made is not made again"
    (stage,) = (stage for stage in estimate.stages if stage.stage == "construct (documents)")
    assert stage.what == "a round: 6 of 6 passages of 6 documents × 1"
    assert any("6 passages of documents a round" in sentence for sentence in estimate.sees)
    assert estimate.teaching is not None
    assert estimate.teaching.answers == stage.answers == 8
    assert (estimate.teaching.money or 0) > 0
    rows = [row for row in made.rows if row.lineage.source == "documents"]
    assert sum(row.facet == "stated" for row in rows) == 6
    assert sum(row.facet == "absent" for row in rows) == 4
    folder = out / "rounds/1/construct"
    (distilled,) = (one for one in read_records(folder / "tradeoffs.jsonl", TradeOff) if one.paradigm == "distill")
    assert (distilled.attempted, distilled.passed, distilled.accepted) == (10, 10, 10)
    assert all(ledger.rows_in == 6 for ledger in read_records(folder / "documents/ledger.jsonl", Ledger)[:3])
    answers = read_records(folder / "documents/questions.jsonl", Answer)
    assert all(answer.money for answer in answers)
    kept = read_records(out / "rounds/1/curate/records.jsonl", Example)
    dropped = read_records(out / "rounds/1/curate/dropped.jsonl", Dropped)
    leaked = {row.id for row in rows if about(LEAKED, 3)[:60] in row.prompt[0].text}
    assert leaked
    assert leaked <= {row.id for row in dropped if row.step == "contamination"}
    assert {row.id for row in rows} - leaked <= {row.id for row in kept} | {row.id for row in dropped}
    learned = [row for row in kept if row.lineage.source == "documents"]
    assert {row.facet for row in learned} == {"stated", "absent"}
    assert all(about(LEAKED, 3)[:60] not in row.prompt[0].text for row in learned)
    text = " ".join(str(event.data.get("text")) for event in told)
    assert "questions: 6 asked for JSON: 5 came in the form" in text
    assert "answers are not held to the schema" in text
    assert "the round learns from the experts' answers and from construct.sources." in text
    states = RunDirectory.open(out).stages()
    assert "documents/questions.jsonl" in states["rounds/1/construct"].files


def test_documents_that_change_under_a_run_are_refused(reader: Path) -> None:
    file, out = reader / "recipe.yaml", reader / "run"
    with endpoint(behaviour()) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        construct(load_recipe(file), out=out)
        more = reader / "docs" / "more.txt"
        more.write_text(about("Lamps", 9))
        with pytest.raises(RunError, match=r"1 file that the recipe names changed .*docs/more\.txt"):
            construct(load_recipe(file), out=out)
        more.unlink()
        gone = reader / "docs" / "Pumps.txt"
        text = gone.read_text()
        gone.unlink()
        with pytest.raises(RunError, match=r"docs/Pumps\.txt"):
            construct(load_recipe(file), out=out)
        gone.write_text(text + " ")
        with pytest.raises(RunError, match=r"docs/Pumps\.txt"):
            construct(load_recipe(file), out=out)
        gone.write_text(text)
        construct(load_recipe(file), out=out)


def test_what_cannot_be_read_is_told_before_anything_begins(reader: Path) -> None:
    file, out = reader / "recipe.yaml", reader / "run"
    file.write_text(RECIPE.replace("URL", "http://127.0.0.1:9/v1"))
    (reader / "docs" / "scan.pdf").write_bytes(pdf([[]]))
    (reader / "docs" / "sheet.xlsx").write_bytes(b"PK")
    with pytest.raises(RecipeError) as caught:
        run(load_recipe(file, ["construct.rehearsal={prompts: 999}"]), out)
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 4, "with all else that is wrong"
    assert any("construct.sources.0: docs/scan.pdf: its pages are images" in one for one in said)
    assert any("construct.sources.0: docs/sheet.xlsx: files of this kind are not read" in one for one in said)
    assert not out.exists()
    preflight(load_recipe(file, ["construct.sources.0.unreadable=leave_out"]))
