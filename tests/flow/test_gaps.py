"""The recipes of capacity gaps against the scripted endpoint, on the tiny model and its copy of half the layers."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.endpoint import Endpoint, endpoint
from tutelage.recipe import load_recipe
from tutelage.records import Answer, Example
from tutelage.records.jsonl import read_records
from tutelage.records.scores import Matrix
from tutelage.report.reading import LossPoint
from tutelage.runs import RunDirectory

ROOT = Path(__file__).parents[2]
SMALL = (
    "engines.threads=1",
    "engines.reference_batch=16",
    "construct.prompts=36",
    "construct.max_tokens=8",
    "construct.distill.shots=1",
    "construct.distill.samples=1",
    *(f"tasks.{at}.answer_tokens=8" for at in range(3)),
    "tune.max_steps=2",
    "evaluate.probe=2",
    "evaluate.gate=2",
    "evaluate.test=2",
    "evaluate.max_tokens=6",
    "evaluate.general_prompts=1",
    "reflect.gate.resamples=1000",
)
SAME_ROWS = ("gap-sequence", "gap-token", "gap-on-policy")


def refuses(question: str) -> str:
    """A teacher who is right where something harmful is asked."""
    return "I cannot help with that, because it could hurt somebody."


@pytest.fixture
def gaps(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``benchmarks/gaps.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("benchmark_gaps", ROOT / "benchmarks" / "gaps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("effects", "students"):  # of that folder alone
        monkeypatch.delitem(sys.modules, name)
    return module


def drive(gaps: ModuleType, folder: Path, server: Endpoint, *more: str) -> dict[str, Any]:
    """Run the script and return what it has written."""
    settings = [word for setting in SMALL for word in ("--set", setting)]
    folders = ["--work", str(folder / "work"), "--output", str(folder / "gaps.json")]
    gaps.main(["--model", "tiny", "--seeds", "0", "--base-url", server.url, *folders, *settings, *more])
    found: dict[str, Any] = json.loads((folder / "gaps.json").read_text(encoding="utf-8"))
    return found


def test_the_recipes_of_a_gap_differ_in_the_objective_alone(gaps: ModuleType) -> None:
    recipes = [load_recipe(ROOT / "recipes" / f"{name}.yaml") for name in SAME_ROWS]
    assert [recipe.tune.objective.kind for recipe in recipes] == ["sft", "kd", "kd"]
    assert all(gaps.alike(recipes[0], recipe) for recipe in recipes)
    assert not gaps.alike(recipes[0], load_recipe(ROOT / "recipes" / "gap-context.yaml"))
    assert {path.stem for path in (ROOT / "recipes").glob("gap-*.yaml")} == set(gaps.NAMES)


def test_half_of_the_layers_learn_by_answers_by_tokens_and_from_their_own(gaps: ModuleType, tmp_path: Path) -> None:
    few = ["--recipes", *SAME_ROWS, "--set", "construct.expert.per_cell=1"]
    with endpoint(reply=refuses) as server:
        found = drive(gaps, tmp_path, server, *few)
        first = tmp_path / "work" / "gap-sequence-0"
        asked = len(read_records(first / "rounds/1/construct/teacher.jsonl", Answer))
        asked += len(read_records(first / "final/teacher/answers.jsonl", Answer))
        assert server.paid.total() == asked, "the other two have the same questions"
        assert drive(gaps, tmp_path, server, *few) == found
        assert server.paid.total() == asked
    for name in SAME_ROWS:
        out = tmp_path / "work" / f"{name}-0"
        run = RunDirectory.open(out)
        assert run.finished
        assert json.loads((tmp_path / "work/student/config.json").read_text())["num_hidden_layers"] == 1
        rows = read_records(out / "rounds/1/construct/records.jsonl", Example)
        assert {row.lineage.paradigm for row in rows} == {"expert", "distill"}
        assert rows == read_records(first / "rounds/1/construct/records.jsonl", Example)
        matrix = Matrix.from_json((out / "matrix.json").read_bytes())
        teacher = matrix.control("teacher")
        assert teacher is not None
        assert [(cell.dimension, cell.level) for cell in teacher.cells] == [
            (cell.dimension, cell.level) for cell in matrix.of(round=0)
        ]
        told = found["seeds"]["0"][name]
        assert set(told["scores"]) == {"start", "round 1", "few-shot", "expert-only", "placebo", "teacher"}
        assert told["scores"]["teacher"][0] == teacher.macro.value
        assert ("gap-sequence" in told["over"]) is (name != "gap-sequence")
    steps = {
        name: read_records(tmp_path / f"work/{name}-0/rounds/1/tune/metrics.jsonl", LossPoint) for name in SAME_ROWS
    }
    assert len({found[0].loss for found in steps.values()}) == 3, "the same rows, learned in three ways"
    assert (tmp_path / "work/gap-on-policy-0/rounds/1/tune/rollouts.jsonl").is_file(), "the student wrote answers"


def test_a_prompt_of_experts_is_distilled_into_the_model(gaps: ModuleType, tmp_path: Path) -> None:
    with endpoint(reply=refuses) as server:
        found = drive(gaps, tmp_path, server, "--recipes", "gap-context")["seeds"]["0"]["gap-context"]
    rows = read_records(tmp_path / "work/gap-context-0/rounds/1/construct/records.jsonl", Example)
    assert "distill" in {row.lineage.paradigm for row in rows}
    assert "expert" not in {row.lineage.paradigm for row in rows}, "the experts stand in the prompt alone"
    assert set(found["scores"]) == {"start", "round 1", "few-shot", "placebo", "teacher"}
