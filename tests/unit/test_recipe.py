"""Recipes: errors that name line, key and the nearest valid key; overrides; what applies to nothing is refused."""

from pathlib import Path

import pytest

from tutelage.errors import RecipeError
from tutelage.recipe import Recipe, load_recipe, parse_recipe
from tutelage.recipe.teacher import ModelTeacher
from tutelage.recipe.teaching import who_teaches

MINIMAL = "name: mine\ntasks:\n  - {kind: constraints}\n"
ORDERED = "construct: {sources: [{kind: instructions, KEYS}]}\n"
SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


CONTROLLED = MINIMAL + "controls: {expert_only: true}\n"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_recipe_loads(file: Path) -> None:
    recipe = load_recipe(file)
    assert recipe.name == file.stem
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_all_faults_at_once_each_with_its_line() -> None:
    found = problems(MINIMAL + "seed: -1\ntune:\n  epochs: many\n  optimiser: {kind: adamw}\nroundz: 2\n")
    assert [f.partition(":")[0] for f in found] == [
        "line 4, seed",
        "line 6, tune.epochs",
        "line 7, tune.optimiser",
        "line 8, roundz",
    ]
    assert "did you mean 'optimizer'?" in found[2].lower()
    assert "did you mean 'rounds'?" in found[3].lower()
    assert "'many'" in found[1]


def test_keys_inside_a_tagged_union_are_offered() -> None:
    (found,) = problems(MINIMAL + "tune:\n  optimizer: {kind: adamw, lrr: 0.1}\n")
    assert found.startswith("line 5, tune.optimizer.lrr: there is no such key")
    assert "'lr'" in found


def test_an_unknown_kind_lists_the_kinds() -> None:
    (found,) = problems("name: mine\ntasks:\n  - {kind: constraint}\n")[:1]
    assert "received 'constraint'" in found
    assert "'constraints'" in found


def test_a_key_given_twice_is_refused() -> None:
    (found,) = problems("name: mine\nname: yours\ntasks: [{kind: safety}]\n")
    assert "line 2" in found
    assert "given twice" in found


def ordered(keys: str) -> str:
    """A recipe that orders instructions."""
    return MINIMAL + ORDERED.replace("KEYS", keys)


def improving(keys: str, **others: str) -> str:
    """A recipe whose student writes from what experts wrote."""
    more = "".join(f", {key}: {value}" for key, value in others.items())
    return MINIMAL + f"construct: {{sources: [{{{keys}}}]{more}}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("- a\n", "mapping"),
        ("name: [\n", "not valid YAML"),
        (MINIMAL + "construct: {expert: null, distill: null, self_improve: null}\n", "switched off"),
        (MINIMAL + "construct: {expert: null}\ncontrols: {few_shot: true}\n", "need construct.expert"),
        (
            CONTROLLED + "curate: {steps: [{kind: score_first, rows: 5, complexity: {kind: verdict}}]}\n",
            "curate.steps.0.complexity: verdict",
        ),
        (
            CONTROLLED + "curate: {steps: [{kind: score_first, rows: 5, quality: {kind: criterion, name: depth}}]}\n",
            "curate.steps.0.quality: criterion",
        ),
        (
            CONTROLLED + "curate: {steps: [{kind: mixture, weights: {rejection: 1, demonstrations: 0}}]}\n",
            "curate.steps.0.weights",
        ),
        (
            CONTROLLED + "curate: {steps: [{kind: mixture, by: paradigm, weights: {distill: 1}}]}\n",
            "curate.steps.0.weights",
        ),
        (MINIMAL + "evaluate: {test: 0}\ncontrols: {placebo: true}\n", "evaluate.test is 0"),
        (MINIMAL + "evaluate: {test: 0}\ncontrols: {teacher: true}\n", "evaluate.test is 0"),
        (MINIMAL + "construct: {distill: null}\ncontrols: {teacher: true}\n", "controls.teacher: nobody teaches"),
        (MINIMAL + "construct: {distill: {shots: 0}}\ncontrols: {teacher: true}\n", "the start itself"),
        (MINIMAL + "construct: {expert: null}\ncontrols: {teacher: true}\n", "the start itself"),
        (
            MINIMAL
            + "construct: {distill: {shots: 0, teacher: {kind: model, id: default}}}\ncontrols: {teacher: true}\n",
            "the start itself",
        ),
        (MINIMAL + "construct: {distill: null, self_improve: {teacher_fallback: true}}\n", "there is no teacher"),
        (
            MINIMAL + "construct: {distill: null, sources: [{kind: documents, path: docs}]}\n",
            "the teacher writes these rows",
        ),
        (
            MINIMAL + "construct: {distill: null, sources: [{kind: constitution, by: teacher}]}\n",
            "the teacher writes these rows",
        ),
        (
            MINIMAL + "construct: {distill: null, sources: [{kind: reflection, path: a.jsonl}]}\n",
            "the teacher writes these rows",
        ),
        (
            MINIMAL + "construct: {sources: [{kind: reflection, path: a.jsonl, parts: [response, instruction]}]}\n",
            "both in this order",
        ),
        (MINIMAL + "construct: {sources: [{kind: constitution, domain: cooking}]}\n", "general"),
        (
            MINIMAL + "construct: {verify: false, sources: [{kind: documents, path: docs}]}\n",
            "construct.verify is false",
        ),
        (MINIMAL + "construct: {sources: [{kind: documents, path: []}]}\n", "name a file or a folder"),
        (MINIMAL + "construct: {sources: [{kind: documents, path: docs, levels: [basic, basic]}]}\n", "each once"),
        (
            MINIMAL + "construct: {sources: [{kind: documents, path: docs, encoding: cp9}]}\n",
            "there is no such encoding",
        ),
        (
            MINIMAL + "construct: {sources: [{kind: documents, path: a}, {kind: documents, path: b}]}\n",
            "construct.sources: documents given more than once",
        ),
        (MINIMAL + "construct: {sources: [{kind: documents, path: a, name: ../b}]}\n", "lower-case letters"),
        (ordered("cells: []"), "name one or more, or planned, or every"),
        (ordered("cells: [{dimension: dates, level: basic}]"), "nobody knows what dates is"),
        (
            ordered("cells: [{dimension: safety, level: basic}], languages: [de]"),
            "safety is ordered in English alone",
        ),
        (
            ordered("cells: [{dimension: utility, level: basic}, {dimension: utility, level: basic}]"),
            "each of them once",
        ),
        (ordered("dimensions: {utility: It helps.}"), "utility is defined already"),
        (ordered("dimensions: {dates: ' '}"), "say what its requests are"),
        (ordered("languages: [en, xx]"), "xx cannot be told from other languages"),
        (ordered("languages: [en, en]"), "each once"),
        (ordered("personas: 0"), "1 or more"),
        (ordered("personas: yes"), "give a list, a text file, or how many"),
        (ordered("topics: []"), "none of them may be empty"),
        (ordered("assessor: judge"), "assessor is judge, but construct.judge is null"),
        (ordered("rows: yes"), "expected a whole number"),
        (ordered("kind_of: 3"), "there is no such key"),
        (improving("kind: self_instruct, generated: 8"), "at least one of the 8 that are shown is an expert's"),
        (improving("kind: self_instruct, language: xx"), "it cannot be told from other languages"),
        (improving("kind: self_instruct, instances: 6"), "less than or equal to 5"),
        (improving("kind: self_instruct, by: teacher", distill="null"), "the teacher writes these rows"),
        (improving("kind: evolve, operations: []"), "name one or more of add_constraints"),
        (improving("kind: evolve, operations: [deepen, deepen]"), "each once"),
        (improving("kind: evolve", expert="null"), "construct.expert is null; name a file"),
        (improving("kind: evolve, by: teacher"), "construct.distill.teacher is the student itself; take student"),
        (improving("kind: self_instruct", expert="null"), "construct.expert is null; name a file"),
        ("name: mine\ntasks: [{kind: safety}, {kind: safety}]\n", "more than once"),
        ("name: mine\n", "tasks: name at least one"),
        ("name: mine\ntasks: []\n", "tasks: name at least one"),
        ("name: ../up\ntasks: [{kind: safety}]\n", "letters, digits"),
    ],
)
def test_contradictions_and_malformed_files_are_refused(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text))


@pytest.mark.parametrize(
    ("construct", "tune", "by", "shots"),
    [
        ("{}", "{}", "self", 4),
        ("{distill: {teacher: {kind: model, id: tiny}, shots: 0}}", "{}", "tiny", 0),
        ("{expert: null, distill: {teacher: {kind: model, id: tiny}, shots: 3}}", "{}", "tiny", 0),
        ("{distill: null}", "{objective: {kind: kd, teacher: tiny}}", "tiny", 0),
        ("{distill: {shots: 2}}", "{objective: {kind: kd, teacher: tiny}}", "self", 2),
    ],
)
def test_the_teacher_that_is_a_control_is_the_one_that_teaches(construct: str, tune: str, by: str, shots: int) -> None:
    found = who_teaches(parse_recipe(f"{MINIMAL}construct: {construct}\ntune: {tune}\ncontrols: {{teacher: true}}\n"))
    assert found is not None
    assert (found.by.id if isinstance(found.by, ModelTeacher) else found.by.kind, found.shots) == (by, shots)


def test_overrides_are_read_as_yaml() -> None:
    recipe = parse_recipe(MINIMAL, overrides=["seed=7", "tune.optimizer={kind: adamw, lr: 0.01}", "tasks.0.weight=2"])
    assert (recipe.seed, recipe.tune.optimizer.lr, recipe.tasks[0].weight) == (7, 0.01, 2.0)
    assert any("key.path=value" in p for p in problems(MINIMAL, "seed"))
    assert any("no such key" in p for p in problems(MINIMAL, "sed=7"))


def test_a_missing_file_offers_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_text(MINIMAL)
    with pytest.raises(RecipeError, match=r"(?i)did you mean .*quick\.yaml"):
        load_recipe(tmp_path / "quik.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "bad.yaml")


def test_a_ceiling_in_money_needs_a_price() -> None:
    teacher = '{kind: endpoint, base_url: "http://127.0.0.1:1/v1", model: m, ceiling: {money: 5}%s}'
    text = f"construct: {{distill: {{teacher: {teacher}}}}}\n"
    with pytest.raises(RecipeError, match=r"a ceiling in money needs a price"):
        parse_recipe("name: r\ntasks: [{kind: safety}]\n" + text % "")
    parse_recipe("name: r\ntasks: [{kind: safety}]\n" + text % ", price: {prompt: 1, completion: 2}")


def test_steps_that_keep_rows_of_experts_leave_the_control_alone() -> None:
    for step in ("{kind: mixture, weights: {rewording: 1}}", "{kind: mixture, by: level, weights: {basic: 1}}"):
        parse_recipe(f"{CONTROLLED}curate: {{steps: [{step}]}}\n")
    parse_recipe(MINIMAL + "curate: {steps: [{kind: mixture, by: paradigm, weights: {distill: 1}}]}\n")
