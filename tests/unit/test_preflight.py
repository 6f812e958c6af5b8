"""All that a run will need later is asked for before it begins, all faults at once; nothing is left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tutelage.cli.recipe import validate_command
from tutelage.cli.run import run_command
from tutelage.construct.rehearsal import rehearsal_prompts
from tutelage.errors import RecipeError, TrainingError, TutelageError
from tutelage.evaluate.general_texts import general_prompts
from tutelage.models.template_file import require_template
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct, curate_round
from tutelage.recipe import Recipe, load_recipe

RECIPE = "name: ahead\nmodel: {id: tiny}\ntasks: [{kind: safety}]\nevaluate: {probe: 2, gate: 2, test: 0}\n"
FAULTY = """
name: ahead
model: {id: tiny, template: chat.jinja}
tasks: [{kind: safety}]
construct:
  distill: {teacher: {kind: endpoint, base_url: "https://far.example/v1", model: m, key_variable: NO_SUCH_KEY_}}
  rehearsal: {prompts: 321}
curate:
  steps:
    - {kind: validate}
    - {kind: custom, path: "gone.py:Step"}
    - {kind: custom, path: "mine.py:number"}
    - {kind: contamination, against: [gone.jsonl]}
    - {kind: pii, regions: [XX]}
evaluate: {probe: 2, gate: 2, test: 0, general_prompts: 105}
reflect: {planner: {kind: custom, path: "mine.py:plan"}, gate: {required: [nothing]}}
"""
MINE = "number = 3\ndef plan(cells):\n    return None\n"
FAR = 'construct: {distill: {teacher: {kind: endpoint, base_url: "ADDRESS", model: m, key_variable: NO_SUCH_KEY_}}}\n'


def written(folder: Path, text: str) -> Path:
    (folder / "mine.py").write_text(MINE)
    (folder / "chat.jinja").write_text("{{ messages[0].content }}\n{% for message in %}")
    file = folder / "recipe.yaml"
    file.write_text(text)
    return file


def found(attempt: Callable[[], object]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        attempt()
    return [str(problem) for problem in caught.value.problems]


def dry_run(file: Path, out: Path) -> None:
    run_command(file, out=out, settings=[], quiet=True, json=True, offline=True, dry_run=True)


def test_every_fault_at_once_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY_", raising=False)
    file, out = written(tmp_path, FAULTY), tmp_path / "run"
    recipe = load_recipe(file)
    said = found(lambda: run(recipe, out, offline=True))
    expected = [
        ("reflect.gate.required", "there is no such guard"),
        ("evaluate.general_prompts", f"has {len(general_prompts())} general instructions"),
        ("construct.rehearsal.prompts", f"has {len(rehearsal_prompts())} general instructions"),
        ("model.template", "chat.jinja:2: the chat template is not valid Jinja"),
        ("curate.steps.1", "gone.py: there is no such Python file"),
        ("curate.steps.2", "mine.py:number: this is no step"),
        ("curate.steps.3", "gone.jsonl: cannot read the file: no such file or folder"),
        ("curate.steps.4", "regions: no phone numbers of this region are known"),
        ("reflect.planner", "mine.py:plan: the planner takes other arguments"),
        ("construct.distill.teacher.base_url", "the endpoint is not on this machine"),
        ("construct.distill.teacher.key_variable", "key is not set"),
    ]
    assert len(said) == len(expected), said
    for problem, (where, what) in zip(said, expected, strict=True):
        assert problem.startswith(where)
        assert what in problem
    assert not out.exists(), "a mended recipe must not be another one in this folder"
    assert found(lambda: dry_run(file, out)) == said
    assert found(lambda: construct(recipe, out=out, offline=True)) == said
    assert found(lambda: validate_command(file, [], json=False)) == said[:-1], "who writes a recipe may lack the key"
    assert found(lambda: curate_round(recipe, out=out, offline=True)) == said[:-1], "no teacher is asked"
    assert not out.exists()


def test_faults_of_tasks_come_with_the_others(tmp_path: Path) -> None:
    text = FAULTY.replace("{kind: safety}", "{kind: custom, path: 'gone.py:Task'}")
    said = found(lambda: preflight(load_recipe(written(tmp_path, text)), keys=False))
    assert "gone.py: there is no such Python file" in said[0]
    assert said[0].startswith("tasks.0: ")
    assert len(said) == 10, "but for the guards, which cannot be known without tasks"


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1:8000", "no endpoint address"),
        ("http://127.0.0.1:eighty/v1", "no endpoint address"),
        ("http://me:word@127.0.0.1/v1", "holds credentials"),
    ],
)
def test_an_address_is_read_before_the_first_answer(tmp_path: Path, address: str, what: str) -> None:
    file = written(tmp_path, RECIPE + FAR.replace("ADDRESS", address))
    (said,) = found(lambda: validate_command(file, [], json=False))
    assert what in said
    assert "word" not in said


def test_what_can_be_used_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_SUCH_KEY_", "secret")
    text = RECIPE + FAR.replace("ADDRESS", "http://localhost:1/v1")
    assert list(preflight(load_recipe(written(tmp_path, text)))) == ["safety"]
    most = [f"evaluate.general_prompts={len(general_prompts())}"]
    most.append(f"construct.rehearsal.prompts={len(rehearsal_prompts())}")
    assert list(preflight(load_recipe(written(tmp_path, RECIPE), most))) == ["safety"]


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_recipes_pass(file: Path) -> None:
    recipe = load_recipe(file)
    assert isinstance(recipe, Recipe)
    if recipe.tune.objective.rows == "prompts":
        validate_command(file, [], json=False)
    else:
        assert preflight(recipe)


@pytest.mark.parametrize(
    "text",
    [
        "{% generation %}{{ a }}{% endgeneration %}",
        "{% for a in b %}{% if a %}{% continue %}{% endif %}{{ a | tojson }}{% endfor %}",
        "{{ raise_exception('no') }}{{ strftime_now('%Y') }}",
    ],
)
def test_what_transformers_adds_to_jinja_is_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "chat.jinja").write_text(text)
    require_template(tmp_path / "chat.jinja")
    (tmp_path / "chat.jinja").write_text(text + "{% generated %}")
    with pytest.raises(TutelageError, match="generated"):
        require_template(tmp_path / "chat.jinja")


def test_a_template_that_is_not_there(tmp_path: Path) -> None:
    file = written(tmp_path, RECIPE)
    (said,) = found(lambda: preflight(load_recipe(file, ["model.template=gone.jinja"])))
    assert said.startswith("model.template: ")
    assert "gone.jinja" in said


def test_a_recipe_for_tuning_alone_is_no_run(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE + "tune: {data: {path: rows.jsonl}}\n")
    recipe = load_recipe(file)
    for attempt in (lambda: preflight(recipe), lambda: run(recipe, tmp_path / "run")):
        (problem,) = found(attempt)
        assert problem.startswith("tune.data: a run makes its own rows")
    assert not (tmp_path / "run").exists()


def test_an_optimizer_that_is_not_there_is_missed_before_the_first_answer(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE + "tune: {optimizer: {kind: torch, name: Adam2}}\n")
    for attempt in (
        lambda: run(load_recipe(file), tmp_path / "run"),
        lambda: dry_run(file, tmp_path / "run"),
        lambda: validate_command(file, [], json=True),
    ):
        with pytest.raises(TrainingError, match=r"torch\.optim has no such optimizer"):
            attempt()
    assert not (tmp_path / "run").exists()
