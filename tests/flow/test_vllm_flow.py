"""Two rounds whose student answers through a vLLM server that the run starts: the start in the first round, and in the
second the adapter that the first one promoted."""

import os
from pathlib import Path

import pytest

from support.vllm_server import VERSION, Behaviour, install, read_journal
from tutelage.cli import main
from tutelage.completers.vllm.adapter import name_of
from tutelage.pipeline.sampled_by import SampledBy
from tutelage.records import Answer
from tutelage.records.jsonl import read_records
from tutelage.records.scores import ScoreSummary
from tutelage.runs import RunDirectory

HERE = Path(__file__).parent
RECIPE = f"""
name: served
rounds: 2
model: {{id: tiny, dtype: float32}}
engines: {{threads: 1, sampling: {{kind: vllm}}}}
tasks: [{{kind: custom, path: "{HERE / "places_task.py"}:Places"}}]
construct:
  prompts: 8
  max_tokens: 60
  self_improve: {{samples: 2, revisions: 1}}
  distill: {{samples: 1, shots: 1}}
  rehearsal: {{prompts: 2, samples: 1}}
curate: {{steps: [{{kind: validate}}, {{kind: exact_duplicates}}, {{kind: contamination}}]}}
tune: {{epochs: 10, optimizer: {{kind: adamw, lr: 0.01}}}}
evaluate: {{probe: 8, gate: 32, test: 0, max_tokens: 12}}
reflect: {{gate: {{resamples: 1000, margins: {{length: 4}}}}}}
"""


LOGS = ("attempts", "revisions", "fallback", "teacher", "rehearsal")
"""All that is sampled in a round."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (file := tmp_path / "recipe.yaml").write_text(RECIPE)
    return file


def command(monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    """Run the command line and return its exit code."""
    monkeypatch.setattr("sys.argv", ["tutelage", *argv])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_two_rounds_are_sampled_through_the_server(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, run = tmp_path / "journal.jsonl", tmp_path / "run"
    for name, value in install(tmp_path / "bin", Behaviour(journal=str(journal))).items():
        monkeypatch.setenv(name, value)
    assert command(monkeypatch, "run", str(recipe), "-o", str(run)) == 0, capsys.readouterr().err
    assert RunDirectory.open(run).best.round == 1, "else the second round would ask the start again"
    adapter = name_of(run / "rounds/1/tune/weights")
    who = {1: {"base"}, 2: {adapter, "base"}}
    for round, names in who.items():
        folder = run / f"rounds/{round}/construct"
        answers = [answer for log in LOGS for answer in read_records(folder / f"{log}.jsonl", Answer)]
        assert {answer.text.partition(" ")[0] for answer in answers} == names
        assert {answer.finish for answer in answers} == {"stop"}
        kept = read_records(folder / "engines.jsonl", SampledBy)
        assert {line.engine.engine for line in kept} == {f"vllm {VERSION}"}
        assert {line.student for line in kept} == {"start", adapter} & {"start", *names}
    scored = ScoreSummary.from_json((run / "rounds/2/evaluate/summary.json").read_bytes())
    assert scored.engine.engine == "transformers", "what is scored is never the server's"
    said = read_journal(journal)
    assert [details["name"] for what, details in said if what == "load"] == [adapter]
    for what, details in said:
        if what == "start":
            assert not os.path.exists(f"/proc/{details['pid']}"), "it ended with its stage"
    asked = [details for what, details in said if what == "ask"]
    assert len(asked) == len({(one["model"], one["seed"], str(one["messages"])) for one in asked}), "nothing twice"


def test_without_vllm_the_same_recipe_runs_and_says_so(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run, small = tmp_path / "run", ["--set", "rounds=1", "--set", "tune.epochs=1", "--set", "evaluate.gate=2"]
    assert command(monkeypatch, "run", str(recipe), "-o", str(run), "--dry-run") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "vLLM, which is not installed: the transformers engine answers in its place" in told
    assert "pip install 'tutelage[vllm]'" in told
    assert command(monkeypatch, "run", str(recipe), "-o", str(run), *small) == 0
    told = " ".join("".join(capsys.readouterr()).split())
    assert "start: vLLM cannot answer, and the transformers engine does in its place" in told
    (line,) = read_records(run / "rounds/1/construct/engines.jsonl", SampledBy)
    assert line.engine.engine == "transformers"
    assert "not installed" in (run / "events.jsonl").read_text()
