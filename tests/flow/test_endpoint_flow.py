"""A run whose teacher is an endpoint: the ceiling stops it, a raised one lets it go on, and the key stands nowhere."""

from pathlib import Path

import pytest

from support.endpoint import Misbehaviour, endpoint
from tutelage.completers.endpoints.spending import Paid
from tutelage.errors import CompletionError, RunError
from tutelage.events import Event
from tutelage.pipeline.run import run
from tutelage.recipe import load_recipe
from tutelage.records import Answer
from tutelage.records.jsonl import read_records
from tutelage.runs import RunDirectory

KEY = "sk-never-to-be-written-anywhere"
RECIPE = """
name: taught
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: constraints}]
construct:
  prompts: 8
  max_tokens: 8
  expert: {per_cell: 1}
  self_improve: null
  rehearsal: null
  distill:
    shots: 1
    samples: 2
    teacher:
      {kind: endpoint, base_url: "URL", model: m, key_variable: TEACHER_KEY, timeout_s: 2,
       price: {prompt: 100, completion: 10000}, ceiling: {money: 0.6}}
evaluate: {probe: 2, gate: 2, test: 0, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""
RAISED = ["construct.distill.teacher.ceiling.money=100.0", "construct.distill.teacher.concurrency=3"]


def test_a_ceiling_stops_the_run_and_a_raised_one_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    file, out, told = tmp_path / "recipe.yaml", tmp_path / "run", list[Event]()
    with endpoint(Misbehaviour(share=0.2, faults=("429", "500"), repeat_key=True)) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        with pytest.raises(CompletionError, match=r"ceiling of 0\.60 in money leaves no room.*the same command"):
            run(load_recipe(file), out, emit=told.append)
        before = server.paid.total()
        with pytest.raises(RunError, match="another recipe"):
            run(load_recipe(file, ["construct.distill.samples=3"]), out)
        run(load_recipe(file, RAISED), out, emit=told.append)
    assert RunDirectory.open(out).recipe == load_recipe(file, RAISED), "the run says what it was ended with"
    answers = read_records(out / "rounds/1/construct/teacher.jsonl", Answer)
    assert before < len(answers) == 16
    assert len({answer.request_id for answer in answers}) == 16, "nothing was asked twice"
    assert all(answer.money for answer in answers if answer.finish == "stop")
    paid = read_records(out / "spending.jsonl", Paid)
    assert sum(line.tries for line in paid) == server.tries.total()
    shown = [event.data for event in told if event.kind == "progress" and event.data["label"] == "teacher"]
    assert float(str(shown[-1]["money"])) > 0
    files = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()], "the key is in no file of the run"
    assert any(b"TEACHER_KEY" in path.read_bytes() for path in files), "only the name of its variable is"
