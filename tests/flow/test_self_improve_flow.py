"""A run that makes new tasks of experts' own: told before it begins, made, curated, learned, never made again."""

import json
from pathlib import Path

import pytest

from support.endpoint import endpoint
from support.pupils import reply, seed_file
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

RECIPE = """
name: improved
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: rows.jsonl}]
construct:
  max_tokens: 8
  expert: {per_cell: 4}
  self_improve: null
  rehearsal: null
  sources: [SOURCE]
  distill: TEACHER
tune: {epochs: 1}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
controls: {placebo: false}
"""
TEACHER = '{teacher: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}}'
SELF_INSTRUCT = (
    "{kind: self_instruct, by: teacher, seeds: seeds.jsonl, tasks: 6, prompts: 1, proposals: 4, novelty: 0.9}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows that no program can check, and seed tasks."""
    rows = [
        {"prompt": f"Say {word}.", "reference": f"{word} it is.", "level": "expert" if place % 2 else "basic"}
        for place, word in enumerate("abcdefghijklmnopqrst")
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seed_file(tmp_path / "seeds.jsonl")
    return tmp_path


def written(folder: Path, source: str, teacher: str) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(RECIPE.replace("SOURCE", source).replace("TEACHER", teacher))
    return file


def test_a_run_learns_what_a_teacher_made_of_seeds(folder: Path) -> None:
    out, told = folder / "run", list[Event]()
    with endpoint(reply=reply) as server:
        recipe = load_recipe(written(folder, SELF_INSTRUCT, TEACHER.replace("URL", server.url)))
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out, emit=told.append)
        paid = server.paid.total()
        run(recipe, out, emit=told.append)
        assert server.paid.total() == paid, "what is made is not made again"
        (folder / "seeds.jsonl").write_text((folder / "seeds.jsonl").read_text() + "\n")
        with pytest.raises(RunError, match=r"1 file that the recipe names changed .*seeds\.jsonl"):
            construct(recipe, out=out)
    (stage,) = (stage for stage in estimate.stages if stage.stage == "construct (self_instruct)")
    assert stage.what == "a round: 6 new tasks, in at most 8 steps of 1 requests for 4 each"
    assert "it is sent the tasks of seeds.jsonl and tasks that it wrote, 8 in each request" in " ".join(estimate.sees)
    assert estimate.teaching is not None
    assert estimate.teaching.answers == stage.answers > 12
    rows = [row for row in made.rows if row.lineage.source == "self_instruct"]
    assert len(rows) == 6
    assert {row.lineage.paradigm for row in rows} == {"distill"}
    found = {one.stage: one for one in read_records(out / "rounds/1/construct/self_instruct/ledger.jsonl", Ledger)}
    assert (found["wanted"].kept, found["instances"].kept) == (6, 6)
    learned = {row.id for row in read_records(out / "rounds/1/curate/records.jsonl", Example)}
    assert {row.id for row in rows} <= learned
    assert "self_instruct, wanted: 6 of 6 kept" in " ".join(str(event.data.get("text")) for event in told)


def test_a_run_learns_what_was_evolved_of_demonstrations(folder: Path) -> None:
    out = folder / "run"
    with endpoint(reply=reply) as server:
        source = "{kind: evolve, by: teacher, instructions: 3, generations: 2}"
        recipe = load_recipe(written(folder, source, TEACHER.replace("URL", server.url)))
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out)
        paid = server.paid.total()
        run(recipe, out)
        assert server.paid.total() == paid
    (stage,) = (stage for stage in estimate.stages if stage.stage == "construct (evolve)")
    assert stage.what == "a round: 3 instructions evolved 2 times, each × 1 answers"
    assert "it is sent the experts' demonstrations, 3 of them, and what it made of them" in " ".join(estimate.sees)
    assert estimate.teaching is not None
    assert 6 < stage.answers < 6 * 3 * 1.2
    rows = [row for row in made.rows if row.lineage.source == "evolve"]
    assert len(rows) == 6
    assert {row.dimension for row in rows} == {"utility"}
    assert all(row.lineage.estimated_level and row.level is not None for row in rows)
    learned = {row.id for row in read_records(out / "rounds/1/curate/records.jsonl", Example)}
    assert {row.id for row in rows} <= learned


def test_a_student_writes_for_itself_without_a_teacher(folder: Path) -> None:
    recipe = load_recipe(written(folder, "{kind: self_instruct, tasks: 2, prompts: 1, steps: 2}", "null"))
    estimate = estimate_run(recipe, preflight(recipe))
    assert estimate.sees[0] == (
        "The student writes for itself; it sees the experts' demonstrations and tasks that it wrote, 8 in each request "
        "for new ones."
    )
    assert estimate.sees[1:] == ("No teacher is asked.", "Nothing leaves this machine.")
    made = construct(recipe, out=folder / "run")
    rows = [row for row in made.rows if row.lineage.source == "self_instruct"]
    stage = folder / "run/rounds/1/construct"
    (own,) = (one for one in read_records(stage / "tradeoffs.jsonl", TradeOff) if one.paradigm == "self")
    assert own.accepted == len(rows) <= own.attempted  # its forms are held, and what stands in them is chance
    found = read_records(stage / "self_instruct/ledger.jsonl", Ledger)
    assert found[0].rows_in == 2


def test_what_cannot_begin_is_told_before_anything_begins(folder: Path) -> None:
    file = written(folder, "{kind: self_instruct, seeds: gone.jsonl}", "null")
    with pytest.raises(RecipeError, match=r"construct\.sources\.0: .*gone\.jsonl"):
        preflight(load_recipe(file))
    rows = [{"prompt": "Say it. " * 200, "reference": f"{word}."} for word in "abcdefghijklmnop"]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RecipeError, match="no demonstration can be a seed"):
        preflight(load_recipe(written(folder, "{kind: self_instruct}", "null")))
