"""A run that orders instructions from an endpoint: told before it begins, planned, read, judged, curated, learned."""

import json
from collections import Counter
from pathlib import Path

import pytest

from support.endpoint import endpoint
from support.judging import by_words, is_judging
from support.ordering import kind_of, reply
from tutelage.construct.instructions.orders import spread
from tutelage.errors import RecipeError, RunError
from tutelage.events import Event
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.records import Answer, Example, Ledger
from tutelage.records.jsonl import read_records
from tutelage.records.scores import Plan
from tutelage.records.tradeoff import TradeOff
from tutelage.runs import RunDirectory, read_state

RECIPE = """
name: ordered
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
    - {kind: instructions, rows: 8, topics: topics.txt, personas: 2, turns: 2, passes: 0, novelty: 0.8}
  distill:
    teacher: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}
  judge:
    by: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}
tune: {epochs: 1}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
CRITERIA = ("request", "truth", "use", "clarity")


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with rows at two levels of utility that no program can check, and topics."""
    rows = [
        {"prompt": f"Say {word}.", "reference": f"{word} it is.", "level": "expert" if place % 2 else "basic"}
        for place, word in enumerate("abcdefghijklmnopqrst")
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "topics.txt").write_text("kitchens\ngardens\ncellars\n")
    return tmp_path


def answering(content: str) -> str:
    """The teacher, and a judge that likes words."""
    return by_words(content, CRITERIA) if is_judging(content) and kind_of(content) == "answer" else reply(content)


def test_a_run_learns_what_it_ordered(reader: Path) -> None:
    file, out, told = reader / "recipe.yaml", reader / "run", list[Event]()
    with endpoint(reply=answering) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        recipe = load_recipe(file)
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out, emit=told.append)
        paid = server.paid.total()
        run(recipe, out, emit=told.append)
        assert server.paid.total() == paid, "what is made is not made again"
    (stage,) = (stage for stage in estimate.stages if stage.stage == "construct (instructions)")
    assert stage.what == "a round: 8 requests to order × 2 answers, up to 2 turns; 2 personas"
    seen = " ".join(estimate.sees)
    assert "orders for 8 conversations a round with up to 3 expert requests each" in seen
    assert "requests that the teacher wrote and its answers to them" in seen
    assert estimate.teaching is not None
    assert estimate.teaching.answers > stage.answers > 8
    assert estimate.judging is not None
    assert estimate.judging.answers > 0
    assert "requests to read" in estimate.judging.what

    rows = [row for row in made.rows if row.lineage.source == "instructions"]
    plan = read_state(out / "rounds/1/plan/plan.json", Plan)
    planned = spread(8, {("utility", given.spent_at): given.attempts for given in plan.allocations})
    assert set(planned) == {("utility", "basic"), ("utility", "expert")}
    assert Counter((row.dimension, row.level) for row in rows) == planned
    assert {len(row.messages) for row in rows} == {4}
    assert all(verdict.judge is not None for row in rows for verdict in row.lineage.verdicts)
    text = " ".join(str(event.data.get("text")) for event in told)
    assert "instructions, cells: 8 of 8 kept. 8 orders were given" in text
    folder = out / "rounds/1/construct"
    (distilled,) = (one for one in read_records(folder / "tradeoffs.jsonl", TradeOff) if one.paradigm == "distill")
    answers = len(read_records(folder / "teacher.jsonl", Answer))
    assert (distilled.attempted, distilled.passed, distilled.errors) == (8 + answers, 8 + answers, 0)
    assert distilled.judging is not None
    assert distilled.judging.judged == 8 + 32 + answers, "requests that were read, and answers of two turns"
    last = read_records(folder / "instructions/ledger.jsonl", Ledger)[-1]
    assert (last.stage, last.rows_in, last.kept) == ("cells", 8, 8)
    learned = {row.id for row in read_records(out / "rounds/1/curate/records.jsonl", Example)}
    assert {row.id for row in rows} <= learned
    states = RunDirectory.open(out).stages()
    assert "instructions/answers-judge.jsonl" in states["rounds/1/construct"].files


def test_every_answer_of_a_conversation_is_a_target(reader: Path) -> None:
    file = reader / "recipe.yaml"
    with endpoint(reply=answering) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        made = construct(load_recipe(file), out=reader / "run")
    template = tiny_model().template
    row = next(row for row in made.rows if row.lineage.source == "instructions")
    text, spans = template.spans(row.messages)
    assert [text[start:end].removesuffix(template.end_token).strip() for start, end in spans] == [
        message.text for message in row.messages if message.role == "assistant"
    ]


def test_what_cannot_be_ordered_is_told_before_anything_begins(reader: Path) -> None:
    file, out = reader / "recipe.yaml", reader / "run"
    file.write_text(RECIPE.replace("URL", "http://127.0.0.1:9/v1"))
    with pytest.raises(RecipeError) as caught:
        run(load_recipe(file, ["construct.sources.0.personas=gone.txt", "tasks.0.dimension=dates"]), out)
    said = [str(problem) for problem in caught.value.problems]
    assert any("construct.sources.0: gone.txt: the file cannot be read" in one for one in said), said
    with pytest.raises(RecipeError, match="there is no cell to order for"):
        preflight(load_recipe(file, ["tasks.0.dimension=dates"]))
    preflight(load_recipe(file, ["tasks.0.dimension=dates", "construct.sources.0.dimensions={dates: It asks a date.}"]))
    assert not out.exists()


def test_topics_that_change_under_a_run_are_refused(reader: Path) -> None:
    file, out = reader / "recipe.yaml", reader / "run"
    with endpoint(reply=answering) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        construct(load_recipe(file), out=out)
        (reader / "topics.txt").write_text("kitchens\n")
        with pytest.raises(RunError, match=r"1 file that the recipe names changed .*topics\.txt"):
            construct(load_recipe(file), out=out)
