"""A run that learns revisions and reflections of an endpoint: told before it begins, judged, curated, learned once."""

import json
from pathlib import Path

import pytest

from support.endpoint import endpoint
from support.judging import by_words, is_judging
from support.revising import critique, write_rows
from tutelage.errors import RecipeError, RunError
from tutelage.events import Event
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.records import Example, Ledger
from tutelage.records.jsonl import read_records
from tutelage.records.tradeoff import TradeOff
from tutelage.runs import RunDirectory

RECIPE = """
name: revised
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
    - {kind: constitution, by: teacher, rows: 6, domain: health}
    - {kind: constitution, name: alone, rows: 3, revisions: 1, prompts: asked.jsonl, retries: 0}
    - {kind: reflection, path: old.jsonl, rows: 4}
  distill:
    teacher: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}
  judge:
    by: {kind: endpoint, base_url: "URL", model: m}
tune: {epochs: 1}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
CRITERIA = ("request", "truth", "use", "clarity")
REVISED = "Drink water, rest for a day, and call a doctor if it lasts longer."
PARTS = "pump valve filter hose motor gauge switch lamp cable fan belt gear shaft wheel frame cover screw spring"


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with rows that no program can check, prompts alone, and rows to be reflected on."""
    rows = [{"prompt": f"What is said of the {part}?", "reference": f"The {part} is fine."} for part in PARTS.split()]
    write_rows(tmp_path / "rows.jsonl", rows)
    write_rows(tmp_path / "asked.jsonl", [{"prompt": f"Is {word} a color?"} for word in ("red", "blue", "loud")])
    old = [{"prompt": f"Tell me of day {n}.", "completion": f"Day {n} was a day."} for n in range(6)]
    write_rows(tmp_path / "old.jsonl", old)
    return tmp_path


def reply(content: str) -> str:
    """The teacher, which finds a fault each time, and a judge that likes words."""
    if content.startswith("You improve examples"):
        day = content.split("day ")[1].split(".")[0]
        given = {"reflection": "It is short.", "answer": f"On day {day} we planted two rows of beans and a rose."}
        if "Reflect on the request first" in content:
            given["instruction"] = f"What was done in the garden on day {day} of the year?"
        return json.dumps(given)
    if is_judging(content):
        return by_words(content, CRITERIA)
    if content.startswith("Look at your last answer"):
        return critique(True, "It does not say when to see a doctor.")
    again = "Write the whole answer to my request again" in content
    return f"{REVISED} Wait {len(content)} minutes before that." if again else "Yes."


def test_a_run_learns_what_was_revised(reader: Path) -> None:
    file, out, told = reader / "recipe.yaml", reader / "run", list[Event]()
    with endpoint(reply=reply) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        recipe = load_recipe(file)
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out, emit=told.append)
        paid = server.paid.total()
        run(recipe, out, emit=told.append)
        assert server.paid.total() == paid, "what is made is not made again"
    stages = {stage.stage: stage for stage in estimate.stages}
    assert stages["construct (constitution)"].what == (
        "a round: up to 6 prompts of the tasks × 2 critiques and revisions, by the teacher"
    )
    assert "3 prompts of asked.jsonl × 1 critique and revision, by the student" in stages["construct (alone)"].what
    assert "4 of 6 rows of old.jsonl, instruction and response" in stages["construct (reflection)"].what
    seen = " ".join(estimate.sees)
    assert (
        "the student's answers to up to 6 prompts a round, to criticize and revise them and 4 rows of old.jsonl" in seen
    )
    assert "all other answers of the student are not sent to it" in seen
    assert "prompts with the student's answers and their revisions and rows that are there already" in seen
    assert estimate.teaching is not None
    taught = stages["construct (constitution)"].answers - 6 + stages["construct (reflection)"].answers
    assert estimate.teaching.answers >= taught > 0
    assert estimate.judging is not None
    assert "about answers of the student and their revisions" in estimate.judging.what

    folder = out / "rounds/1/construct"
    rows = {name: [row for row in made.rows if row.lineage.source == name] for name in ("constitution", "reflection")}
    assert rows["constitution"]
    assert all(row.target.text.startswith(REVISED) for row in rows["constitution"])
    for row in rows["constitution"]:
        assert row.lineage.paradigm == "distill"
        assert len(row.lineage.principles) == 2
        assert row.lineage.verdicts[-1].judge is not None
        assert (row.task, row.dimension) == ("rows", "utility")
    assert len(rows["reflection"]) == 4
    asked = read_records(folder / "alone/ledger.jsonl", Ledger)
    assert asked[0].kept == 3
    assert [one.stage for one in asked][:4] == ["prompts", "answers", "critiques-1", "revisions-1"]
    assert asked[-1].kept == 0, "the tiny student writes no critique that can be read"
    kinds = {one.paradigm: one for one in read_records(folder / "tradeoffs.jsonl", TradeOff)}
    assert kinds["distill"].accepted >= len(rows["constitution"]) + 4
    assert kinds["distill"].judging is not None
    learned = {row.id for row in read_records(out / "rounds/1/curate/records.jsonl", Example)}
    assert {row.id for row in rows["reflection"]} <= learned
    text = " ".join(str(event.data.get("text")) for event in told)
    assert "reflection, approval: 4 of 4 kept" in text
    assert "alone, prompts: 3 of 3 kept" in text
    states = RunDirectory.open(out).stages()
    assert "constitution/critiques-2.jsonl" in states["rounds/1/construct"].files


def test_files_are_seen_before_anything_begins_and_stay_what_they_were(reader: Path) -> None:
    file, out = reader / "recipe.yaml", reader / "run"
    file.write_text(RECIPE.replace("URL", "http://127.0.0.1:9/v1"))
    write_rows(reader / "bad.jsonl", [{"question": "x"}])
    settings = ["construct.sources.2.path=bad.jsonl", "construct.sources.1={kind: constitution, principles: gone.yaml}"]
    with pytest.raises(RecipeError) as caught:
        run(load_recipe(file, [*settings, "construct.sources.1.name=alone"]), out)
    said = [str(problem) for problem in caught.value.problems]
    assert any("construct.sources.1" in one and "gone.yaml" in one for one in said), said
    assert any("construct.sources.2" in one and "keys fit no known form" in one for one in said), said
    assert not out.exists()
    with endpoint(reply=reply) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        construct(load_recipe(file), out=out)
        write_rows(reader / "asked.jsonl", [{"prompt": "Is green a color?"}])
        with pytest.raises(RunError, match=r"1 file that the recipe names changed .*asked\.jsonl"):
            construct(load_recipe(file), out=out)


def test_the_student_alone_needs_no_teacher(reader: Path) -> None:
    file = reader / "recipe.yaml"
    text = RECIPE.split("  distill:")[0].replace(
        "    - {kind: constitution, by: teacher, rows: 6, domain: health}\n", ""
    )
    text = text.replace("    - {kind: reflection, path: old.jsonl, rows: 4}\n", "")
    file.write_text(text + "  distill: null\n")
    recipe = load_recipe(file)
    estimate = estimate_run(recipe, preflight(recipe))
    assert estimate.teaching is None
    own = "its own answers to up to 3 prompts a round, to criticize and revise them"
    student = f"The student writes for itself; it sees {own}."
    assert estimate.sees == (student, "No teacher is asked.", "Nothing leaves this machine.")
    made = construct(recipe, out=reader / "run")
    assert {row.lineage.paradigm for row in made.rows} == {"expert"}
