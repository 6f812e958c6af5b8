"""Rows whose teacher, behind an endpoint, said what stood to choice at its tokens: kept, compared, learned, refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.endpoint import Misbehaviour, endpoint
from support.speaking import spoken
from tutelage.errors import RecipeError, RunError, TrainingError
from tutelage.events import Event
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.pipeline.standalone import tune
from tutelage.recipe import Recipe, load_recipe, parse_recipe
from tutelage.records import Answer, Dropped, Example, Ledger
from tutelage.records.jsonl import read_records

RECIPE = """
name: told
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: rows.jsonl, check: contains}]
construct:
  prompts: 6
  max_tokens: 30
  references: false
  expert: {per_cell: 1}
  self_improve: null
  rehearsal: null
  distill:
    shots: 0
    samples: 1
    top_logprobs: 5
    teacher: {kind: endpoint, base_url: "URL", model: m}
tune: {epochs: 1, batch_size: 4, objective: {kind: kd_answers}}
evaluate: {probe: 2, gate: 2, test: 0, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
ALONE = "name: alone\nmodel: {id: tiny}\ntasks: [{kind: safety}]\ntune:\n  epochs: 1\n  batch_size: 4\n"
TEACHER = tiny_model(seed=1)
ODD = "bird e"


def reply(content: str) -> str:
    return f"It is {content.removeprefix('Name ').rstrip('.')}, as it is told."


def says(messages: list[dict[str, Any]], text: str, count: int) -> list[dict[str, Any]]:
    """All tokens of the answer; of one bird, those of another tokenizer."""
    said = spoken(TEACHER, messages, text, count)
    if ODD in text:
        said[1] = {**said[1], "token": "?", "bytes": [63]}
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    letters = "abcdefghijklmnop"
    rows = [{"prompt": f"Name bird {letter}.", "reference": f"bird {letter}"} for letter in letters]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def alone(folder: Path, objective: dict[str, object]) -> Recipe:
    text = ALONE + f"  objective: {json.dumps(objective)}\n"
    return parse_recipe(text).relative_to(folder)


def test_a_run_learns_what_its_teacher_said(folder: Path) -> None:
    file, out, told = folder / "recipe.yaml", folder / "run", list[Event]()
    with endpoint(Misbehaviour(logprobs="offered"), reply=reply, says=says) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        recipe = load_recipe(file)
        run(recipe, out, emit=told.append)
    log = out / "rounds/1/construct/teacher.jsonl"
    assert all(answer.choices and len(answer.choices[0].top) == 5 for answer in read_records(log, Answer))
    ledger = Ledger.from_json((out / "rounds/1/tune/ledger.json").read_text())
    said = " ".join(str(event.data.get("text")) for event in told)
    rows = read_records(out / "rounds/1/curate/records.jsonl", Example)
    taught = [row for row in rows if row.lineage.paradigm == "distill"]
    untold = [row for row in taught if ODD in row.target.text]
    assert len(taught) > len(untold) == 1
    words = f"{len(taught) - 1} of {len(rows)} rows learn from what the endpoint said of their tokens"
    assert words in said
    assert words in " ".join(ledger.notes)
    assert "1 are learned as they are written: the tokens of the answer are not the student's (the first: row" in said
    assert f"{len(rows) - len(taught)} are of others than the endpoint" in said


def test_rows_and_logs_of_a_run_alone(folder: Path) -> None:
    file, out = folder / "recipe.yaml", folder / "run"
    with endpoint(Misbehaviour(logprobs="offered"), reply=reply, says=says) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        made = construct(load_recipe(file), out=out)
    rows = [row for row in made.rows if row.lineage.paradigm == "distill"]
    log = "run/rounds/1/construct/teacher.jsonl"
    whole = tune(rows, out=folder / "whole", model=alone(folder, {"kind": "kd_answers", "answers": [log]}))
    few = tune(rows, out=folder / "few", model=alone(folder, {"kind": "kd_answers", "answers": [log], "top_k": 1}))
    sft = tune(rows, out=folder / "sft", model=alone(folder, {"kind": "sft"}))
    assert whole.losses[0] < sft.losses[0], "distributions cost less than certainty"
    assert few.losses[0] < whole.losses[0], "a lower bound"
    again = tune(rows, out=folder / "whole", model=alone(folder, {"kind": "kd_answers", "answers": [log]}))
    assert again == whole, "what is finished is read"
    dropping = {"kind": "kd_answers", "answers": [log], "unmatched": "drop"}
    left = tune(rows, out=folder / "drop", model=alone(folder, dropping))
    assert left.rows == len(rows) - 1
    (gone,) = read_records(folder / "drop/dropped.jsonl", Dropped)
    assert gone.reason.startswith(
        "not told by the endpoint: the tokens of the answer are not the student's: token 2 is"
    )
    parts = [{"weight": 0.5, "objective": {"kind": "sft"}}, {"weight": 0.5, "objective": dropping}]
    both = tune(rows, out=folder / "sum", model=alone(folder, {"kind": "sum", "parts": parts}))
    assert both.rows == left.rows


def test_an_endpoint_that_says_nothing_is_told_and_cannot_be_learned_from(folder: Path) -> None:
    file, out, told = folder / "recipe.yaml", folder / "run", list[Event]()
    with endpoint(Misbehaviour(logprobs="refused"), reply=reply) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        made = construct(load_recipe(file), out=out, emit=told.append)
    notes = [str(event.data.get("text")) for event in told if event.kind == "note"]
    assert sum("refuses logprobs and is asked without" in note for note in notes) == 1
    rows = [row for row in made.rows if row.lineage.paradigm == "distill"]
    log = "run/rounds/1/construct/teacher.jsonl"
    with pytest.raises(TrainingError, match=r"the endpoint said can be used.*nothing was said of its tokens"):
        tune(rows, out=folder / "none", model=alone(folder, {"kind": "kd_answers", "answers": [log]}))
    with pytest.raises(RunError, match="no such log of answers"):
        tune(rows, out=folder / "none", model=alone(folder, {"kind": "kd_answers", "answers": ["gone.jsonl"]}))
    with pytest.raises(RecipeError) as caught:
        tune(rows, out=folder / "none", model=alone(folder, {"kind": "kd_answers"}))
    assert "tune.objective.answers: no log of answers is named" in str(caught.value)


def test_what_a_run_cannot_do_is_refused_before_it_begins(folder: Path) -> None:
    file, out = folder / "recipe.yaml", folder / "run"
    file.write_text(RECIPE.replace("URL", "http://127.0.0.1:9/v1"))
    wrong = ["construct.distill.top_logprobs=null", "tune.objective.answers=[a.jsonl]"]
    with pytest.raises(RecipeError) as caught:
        run(load_recipe(file, wrong), out)
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 2
    assert any(one.startswith("tune.objective.answers: a run reads the answers of its own teacher") for one in said)
    assert any(one.startswith("construct.distill.top_logprobs: kd_answers learns what a teacher said") for one in said)
    assert not out.exists()
