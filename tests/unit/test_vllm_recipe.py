"""vLLM in a recipe: what applies, what is refused before a run begins, what may change on the way, and what is told."""

from pathlib import Path

import pytest

from support.vllm_server import Behaviour, install
from tutelage.errors import RecipeError, RunError
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.vllm_words import with_server
from tutelage.recipe import Recipe, parse_recipe
from tutelage.recipe.vllm import HOW_IT_IS_REACHED, ONLY_JOINED, ONLY_STARTED, VllmEngine
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

THERE = 'base_url: "http://127.0.0.1:8000/v1"'
GROWN = (
    'name: grown\nmodel: {id: tiny, new_tokens: ["<|new|>"]}\ntasks: [{kind: safety}]\n'
    f"engines: {{sampling: {{kind: vllm, {THERE}}}}}\n"
)


def recipe(more: str = "", rest: str = "") -> Recipe:
    engine = f"{{kind: vllm{f', {more}' if more else ''}}}"
    tasks = "tasks: [{kind: safety}]"
    return parse_recipe(f"name: served\nmodel: {{id: tiny}}\n{tasks}\nengines: {{sampling: {engine}}}\n{rest}")


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("served_model: m", "served_model"),
        ("key_variable: KEY", "key_variable"),
        ("allow_remote: true", "allow_remote"),
        (f"{THERE}, start_s: 5", "start_s"),
        (f"{THERE}, gpu_memory: 0.5", "gpu_memory"),
        (f"{THERE}, tensor_parallel: 2", "tensor_parallel"),
        (f"{THERE}, max_model_len: 512", "max_model_len"),
    ],
)
def test_a_setting_of_the_other_way_is_refused(more: str, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"engines\.sampling\.{key}"):
        recipe(more)
    assert key in (*ONLY_JOINED, *ONLY_STARTED)


def test_what_is_set_apart_are_keys_of_the_section() -> None:
    assert {*ONLY_JOINED, *ONLY_STARTED, *HOW_IT_IS_REACHED} <= set(VllmEngine.model_fields)


def test_before_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(RecipeError, match=r"key_variable.*is not set"):
        preflight(recipe(f"{THERE}, key_variable: NO_SUCH_KEY"))
    with pytest.raises(RecipeError, match=r"base_url.*not on this machine"):
        preflight(recipe('base_url: "http://gpu.example:8000/v1"'))
    soft = "tune: {method: {kind: prompt}}\n"
    with pytest.raises(RecipeError, match=r"vLLM cannot put what prompt tuning learns before a text"):
        preflight(recipe("fallback: false", soft))
    assert preflight(recipe("", soft)), "with an engine in its place it is a matter of a note"
    with pytest.raises(RecipeError, match=r"does not know model.new_tokens"):
        preflight(parse_recipe(GROWN))


def test_how_it_is_reached_may_change_on_the_way_and_which_engine_may_not(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", recipe()) as run, run.stage("rounds/1/construct") as folder:
        (folder / "attempts.jsonl").touch()
    changed = recipe(f"{THERE}, concurrency: 3, fallback: false")
    with RunDirectory.create(tmp_path / "run", changed) as run:
        assert run.recipe == changed
    with pytest.raises(RunError, match=r"another recipe.*engines\.sampling"):
        RunDirectory.create(tmp_path / "run", recipe("max_model_len: 64"))
    other = parse_recipe("name: served\nmodel: {id: tiny}\ntasks: [{kind: safety}]\n")
    with pytest.raises(RunError, match=r"another recipe.*engines\.sampling"):
        RunDirectory.create(tmp_path / "run", other)


def told(more: str = "") -> tuple[str, ...]:
    return with_server(("There is no teacher.", "Nothing leaves this machine."), recipe(more))


def test_the_dry_run_says_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = " ".join(told())
    assert "vLLM, which is not installed: the transformers engine answers in its place" in missing
    assert "pip install 'tutelage[vllm]'" in missing
    assert "the run stops" in " ".join(told("fallback: false"))
    for name, value in install(tmp_path / "bin", Behaviour()).items():
        monkeypatch.setenv(name, value)
    assert f"a vLLM server that the run starts on this machine ({tmp_path}/bin/vllm)" in " ".join(told())
    there = told(THERE)
    assert any("the vLLM server at http://127.0.0.1:8000/v1: it is sent train items" in words for words in there)
    assert there[-1] == "Nothing leaves this machine."
    writing = recipe(THERE, "construct: {sources: [{kind: self_instruct}]}")
    shown = " ".join(with_server(("There is no teacher.", "Nothing leaves this machine."), writing))
    assert "general instructions, tasks of experts and what is written from them, and reads the adapters" in shown
    far = 'base_url: "http://gpu.example:8000/v1"'
    assert "will refuse" in told(far)[-1]
    assert told(f"{far}, allow_remote: true")[-1] == "These items leave this machine for gpu.example."


def test_no_time_is_told_for_what_was_never_measured() -> None:
    given = parse_recipe("name: served\ntasks: [{kind: safety}]\nengines: {sampling: {kind: vllm}}\n")
    found = {stage.stage: stage.minutes for stage in estimate_run(given, build_tasks(given.tasks, given.folder)).stages}
    assert found["construct"] is None
    assert found["tune"] is not None
