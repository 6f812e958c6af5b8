"""A run with two endpoints as teacher: one fails midway, the other finishes, and every row names who wrote it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from support.endpoint import Misbehaviour, endpoint
from tutelage.completers.endpoints.spending import Paid
from tutelage.errors import CompletionError, RecipeError, RunError
from tutelage.events import Event
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.recipe import load_recipe
from tutelage.records import Answer, Example
from tutelage.records.jsonl import read_records
from tutelage.runs import RunDirectory

RECIPE = """
name: taught
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: constraints}]
construct:
  prompts: 8
  max_tokens: 8
  verify: false
  expert: {per_cell: 1}
  self_improve: null
  rehearsal: null
  distill:
    shots: 1
    samples: 2
    teacher:
      kind: endpoint
      base_url: "FIRST"
      model: large
      retries: 0
      concurrency: 1
      price: {prompt: 1, completion: 10}
      ceiling: {money: 100}
evaluate: {probe: 2, gate: 2, test: 0, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
FALLBACK = """      fallback:
        - {base_url: "SECOND", model: other, price: {prompt: 20, completion: 50}}
evaluate:"""


def with_fallback(first: str, second: str) -> str:
    return RECIPE.replace("evaluate:", FALLBACK).replace("FIRST", first).replace("SECOND", second)


def test_a_run_whose_teacher_is_out_of_money_goes_on_with_another_that_is_named_later(tmp_path: Path) -> None:
    file, out, told = tmp_path / "recipe.yaml", tmp_path / "run", list[Event]()
    with endpoint(Misbehaviour(quota=5, name="one")) as first, endpoint(Misbehaviour(name="two")) as second:
        file.write_text(RECIPE.replace("FIRST", first.url))
        with pytest.raises(CompletionError, match="wants to be paid first"):
            run(load_recipe(file), out)
        assert first.paid.total() == 5
        file.write_text(with_fallback(first.url, second.url))
        run(load_recipe(file), out, emit=told.append)
        assert RunDirectory.open(out).recipe == load_recipe(file)
        names = {"one": f"large at {first.url}", "two": f"other at {second.url}"}
    assert (first.paid.total(), second.paid.total()) == (5, 11)
    answers = read_records(out / "rounds/1/construct/teacher.jsonl", Answer)
    assert len({answer.request_id for answer in answers}) == len(answers) == 16
    assert Counter(answer.by for answer in answers) == {"": 5, names["two"]: 11}, "the first was alone when it answered"
    rows = read_records(out / "rounds/1/construct/records.jsonl", Example)
    taught = [row for row in rows if row.lineage.paradigm == "distill"]
    assert {row.lineage.author for row in taught} == set(names.values())
    for row in taught:
        assert row.lineage.author == names[row.target.text.split()[-1]]
    notes = [event for event in told if event.kind == "note" and "is asked nothing more" in str(event.data)]
    (note,) = notes
    assert (note.stage, note.round) == ("construct", 1)
    assert note.data["text"] == (
        f"{names['one']} is asked nothing more in this call: the endpoint wants to be paid first "
        f"(the endpoint answered 402: The account is empty.); what it leaves is asked of {names['two']}"
    )
    assert str(note.data["text"]) in [
        json.loads(line).get("text") for line in (out / "events.jsonl").read_text().splitlines()
    ]
    paid = Counter(dict.fromkeys(names.values(), 0))
    for line in read_records(out / "spending.jsonl", Paid):
        paid[line.to] += line.prompt_tokens
    assert paid == {names["one"]: 5 * 11, names["two"]: 11 * 11}


def test_money_that_went_to_an_endpoint_that_is_no_longer_named_cannot_be_counted(tmp_path: Path) -> None:
    file, out = tmp_path / "recipe.yaml", tmp_path / "run"
    with endpoint(Misbehaviour(quota=3)) as first, endpoint(Misbehaviour(quota=4)) as second:
        file.write_text(with_fallback(first.url, second.url))
        with pytest.raises(CompletionError, match=r"none of the 2 endpoints.*large at .*paid first.*other at .*paid"):
            run(load_recipe(file), out)
        assert (first.paid.total(), second.paid.total()) == (3, 4)
        first.behaviour.quota = second.behaviour.quota = 0
        file.write_text(RECIPE.replace("FIRST", first.url))
        with pytest.raises(RunError, match=r"no longer named with a price: other at .*ceiling in tokens"):
            run(load_recipe(file), out)
        recipe = load_recipe(file, ["construct.distill.teacher.ceiling={tokens: 1000000}"])
        run(recipe, out)
    assert (first.paid.total(), second.paid.total()) == (12, 4), "what the second answered stays"


def test_every_endpoint_is_seen_to_and_told_of_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEY_ONE_", raising=False)
    monkeypatch.delenv("KEY_TWO_", raising=False)
    file = tmp_path / "recipe.yaml"
    file.write_text(with_fallback("http://127.0.0.1:1/v1", "https://api.example.com/v1"))
    keys = [
        "construct.distill.teacher.key_variable=KEY_ONE_",
        "construct.distill.teacher.fallback.0.key_variable=KEY_TWO_",
    ]
    with pytest.raises(RecipeError) as raised:
        preflight(load_recipe(file, keys))
    said = [str(problem) for problem in raised.value.problems]
    assert [problem.partition(": ")[0] for problem in said] == [
        "construct.distill.teacher.key_variable",
        "construct.distill.teacher.fallback.0.base_url",
        "construct.distill.teacher.fallback.0.key_variable",
    ]
    assert "not on this machine" in said[1]
    recipe = load_recipe(file, ["construct.distill.teacher.fallback.0.allow_remote=true"])
    near, far = "large at http://127.0.0.1:1/v1", "other at https://api.example.com/v1"
    estimate = estimate_run(recipe, preflight(recipe))
    assert estimate.sees == (
        f"The teacher is {near}; it is sent train items with up to 1 expert demonstrations each.",
        f"What {near} does not answer is sent to {far}, in the same way.",
        "Probe, gate and test items and the student's answers are not sent to any of them.",
        "These items leave this machine for api.example.com.",
    )
    teaching = estimate.teaching
    assert teaching is not None
    prompt, completion = teaching.prompt_tokens, teaching.completion_tokens
    assert teaching.money == pytest.approx((prompt + 10 * completion) / 1e6, abs=1e-4)
    assert teaching.money_at_most == pytest.approx((20 * prompt + 50 * 16 * 8) / 1e6, abs=1e-4)
    said = " ".join(teaching.words)
    assert f"If {far} had to answer everything, it would cost about 0." in said
    unpriced = load_recipe(
        file,
        [
            "construct.distill.teacher.fallback.0={base_url: 'http://localhost:2/v1', model: free}",
            "construct.distill.teacher.ceiling=null",
        ],
    )
    teaching = estimate_run(unpriced, preflight(unpriced)).teaching
    assert teaching is not None
    assert teaching.money is not None
    assert teaching.money_at_most is None
    assert "no price is given (teacher.fallback.0.price)" in " ".join(teaching.words)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("fallback.0.price=null", r"a ceiling in money needs a price: construct\.distill\.teacher\.fallback\.0\.price"),
        ("fallback.0={base_url: 'http://127.0.0.1:1/v1/', model: large, price: {prompt: 1, completion: 1}}", "twice"),
        ("fallback.0.ceiling={money: 3}", "there is no such key"),
        ("fallback.0.adress=x", "there is no such key"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, change: str, what: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(with_fallback("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"))
    with pytest.raises(RecipeError, match=what):
        load_recipe(file, [f"construct.distill.teacher.{change}"])
