"""What somebody has written and nothing would read is refused with its line; so is what only passes for a number."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tutelage.cli.recipe import show_command
from tutelage.errors import RecipeError
from tutelage.recipe import Recipe, load_recipe, parse_recipe

MINIMAL = "name: mine\ntasks:\n  - {kind: constraints}\n"
DOCUMENTS = MINIMAL + "construct:\n  sources:\n    - kind: documents\n      path: docs\n"
UNVERIFIED = MINIMAL + "construct:\n  verify: false\n"
JUDGED = MINIMAL + "construct:\n  judge:\n      by: {kind: self}\n"
CONTAMINATION = MINIMAL + "curate:\n  steps:\n    - kind: contamination\n      ngram: 6\n"


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("name: x\nrounds: 3\ntune: {data: {path: a.jsonl}}\n", "line 2, rounds", "brings its own rows"),
        ("name: x\ntasks:\n  - {kind: safety, sample_from: 3}\n", "line 3, tasks.0.sample_from", "the last is 2"),
        (
            "name: x\ntasks:\n  - {kind: safety, answer_tokens: 200}\n",
            "line 3, tasks.0.answer_tokens",
            "construct.max_tokens, which is 192",
        ),
        (
            DOCUMENTS + "      form: closed_book\n      unanswerable: 0.1\n",
            "line 9, construct.sources.0.unanswerable",
            "no passage",
        ),
        (DOCUMENTS + "      abstention: No.\n", "line 8, construct.sources.0.abstention", "unanswerable is 0"),
        (
            MINIMAL + "construct:\n  expert: null\n  sources:\n    - kind: instructions\n      seeds: 2\n",
            "line 8, construct.sources.0.seeds",
            "construct.expert is null",
        ),
        (
            MINIMAL + "construct:\n  sources:\n    - kind: self_instruct\n      steps: 1\n      generated: 2\n",
            "line 8, construct.sources.0.generated",
            "steps is 1",
        ),
        (
            MINIMAL + "construct:\n  sources:\n    - kind: evolve\n      dimension: dates\n",
            "line 7, construct.sources.0.dimension",
            "no file of seeds is named",
        ),
        (
            MINIMAL
            + "construct:\n  sources:\n    - kind: constitution\n      principles: a.yaml\n      domain: legal\n",
            "line 8, construct.sources.0.domain",
            "the principles are those of a file",
        ),
        (
            MINIMAL + "construct:\n  sources:\n    - kind: reflection\n      path: a.jsonl\n      originals: better\n",
            "line 8, construct.sources.0.originals",
            "no judge scores rows",
        ),
        (UNVERIFIED + "  mend: true\n", "line 6, construct.mend", "construct.verify is false"),
        (UNVERIFIED + "  decompose: true\n", "line 6, construct.decompose", "construct.verify is false"),
        (UNVERIFIED + "  references: true\n", "line 6, construct.references", "construct.verify is false"),
        (
            UNVERIFIED + "  self_improve: {drafts: 1}\n",
            "line 6, construct.self_improve.drafts",
            "construct.verify is false",
        ),
        (
            MINIMAL + "construct:\n  mend: false\n  self_improve:\n    drafts: 1\n",
            "line 7, construct.self_improve.drafts",
            "construct.mend is false",
        ),
        (
            MINIMAL + "construct:\n  self_improve: {revisions: 0, critic: teacher}\n",
            "line 5, construct.self_improve.critic",
            "nothing is revised",
        ),
        (UNVERIFIED + "  judge: {by: {kind: self}}\n", "line 6, construct.judge", "construct.verify is false"),
        (JUDGED + "      candidates: 3\n", "line 7, construct.judge.candidates", "best_of is null"),
        (
            JUDGED + "      unchecked: false\n      best_of: pairwise\n      threshold: 0.5\n",
            "line 9, construct.judge.threshold",
            "unchecked is false",
        ),
        (
            JUDGED + "      unchecked: false\n      best_of: pairwise\n      scale: 7\n",
            "line 9, construct.judge.scale",
            "no answer is judged alone",
        ),
        (
            JUDGED + "      best_of: pairwise\n  distill: {samples: 1}\n  self_improve: null\n",
            "line 7, construct.judge.best_of",
            "no prompt gets more than one answer",
        ),
        (
            MINIMAL + "construct:\n  distill:\n    top_logprobs: 5\n",
            "line 6, construct.distill.top_logprobs",
            "tune.objective: {kind: kd}",
        ),
        (
            MINIMAL + "construct:\n  distill:\n    rationales: {place: answer}\n    top_logprobs: 5\n"
            "    teacher: {kind: endpoint, base_url: 'http://127.0.0.1:9/v1', model: m}\n",
            "line 7, construct.distill.top_logprobs",
            "tokens are not those of the row",
        ),
        (CONTAMINATION + "      short_ngram: 8\n", "line 8, curate.steps.0.short_ngram", "ngram, which is 6"),
    ],
)
def test_what_would_be_ignored_is_refused_in_its_line(text: str, where: str, why: str) -> None:
    (found,) = problems(text)
    assert found.startswith(f"{where}: ")
    assert why in found
    assert "Leave it out" in found


def test_all_that_would_be_ignored_is_said_at_once() -> None:
    found = problems(UNVERIFIED + "  mend: true\n", "construct.references=true", "tasks.0.sample_from=9")
    assert [place.partition(": ")[0] for place in found] == [
        "line 3, tasks.0.sample_from",
        "line 6, construct.mend",
        "line 4, construct.references",
    ]


@pytest.mark.parametrize(
    "text",
    [
        UNVERIFIED,
        UNVERIFIED + "  mend: false\n  self_improve: {drafts: 0}\n",
        MINIMAL + "construct: {mend: false}\n",
        CONTAMINATION,
        CONTAMINATION + "      short_ngram: 6\n",
        JUDGED,
        MINIMAL + "construct: {expert: null, sources: [{kind: instructions}]}\n",
        MINIMAL + "construct: {distill: null, sources: [{kind: self_instruct, steps: 1}]}\n",
        MINIMAL + "construct: {distill: null, sources: [{kind: evolve, seeds: seeds.jsonl, dimension: dates}]}\n",
        JUDGED + "      best_of: pointwise\n  distill: {samples: 1}\n  self_improve: null\n  sources:\n"
        "    - {kind: evolve, samples: 2}\n",
        MINIMAL + "construct: {expert: null, distill: null, self_improve: null, sources: [{kind: self_instruct, "
        "seeds: seeds.jsonl}]}\ncontrols: {few_shot: false, expert_only: false}\n",
        MINIMAL + "construct: {distill: null, sources: [{kind: constitution, principles: a.yaml}]}\n",
        MINIMAL + "construct: {sources: [{kind: reflection, path: a.jsonl}]}\n",
        JUDGED + "      best_of: pairwise\n  distill: {samples: 1}\n  self_improve: null\n  sources:\n"
        "    - {kind: instructions, samples: 2}\n",
        JUDGED + "      best_of: pointwise\n      unchecked: false\n      scale: 7\n",
        "name: x\nrounds: 3\ntasks: [{kind: grounded, sample_from: 3}]\nconstruct: {max_tokens: 32}\n",
    ],
)
def test_defaults_that_do_not_apply_are_none_of_the_users_doing(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They load, a run reads its own ``recipe.json`` back, and what ``recipe show`` prints is the same recipe again."""
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    recipe = load_recipe(file)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    show_command(file, [], json=False)
    shown = capsys.readouterr().out
    assert parse_recipe(shown).relative_to(tmp_path) == recipe
    assert set(yaml.safe_load(shown)) == set(Recipe.model_fields) - {"folder"}


def test_a_recipe_in_code_is_refused_too() -> None:
    with pytest.raises(ValidationError, match=r"tasks\.0\.sample_from: there is no such round, the last is 1"):
        Recipe.model_validate({"name": "x", "rounds": 1, "tasks": [{"kind": "safety", "sample_from": 2}]})


@pytest.mark.parametrize("overrides", [(), ("folder=/elsewhere",)])
def test_the_folder_is_no_key_of_a_file(overrides: tuple[str, ...]) -> None:
    (found,) = problems(MINIMAL if overrides else MINIMAL + "folder: /elsewhere\n", *overrides)
    assert found.startswith("folder" if overrides else "line 4, folder")
    assert "relative to the folder of the recipe file" in found
    assert not any("folder" in name for name in problems(MINIMAL + "zzz: 1\n"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rounds: yes", "line 4, rounds: expected a whole number, not yes or no (received True)"),
        ("seed: true", "line 4, seed: expected a whole number, not yes or no (received True)"),
        ('rounds: "2"', "line 4, rounds: expected a whole number, not a text (received '2')"),
        ("tune: {epochs: 1e2}", "line 4, tune.epochs: expected a whole number, not a text (received '1e2')"),
        ("tune: {clip_norm: no}", "line 4, tune.clip_norm: expected a number, not yes or no (received False)"),
        ('reflect: {target: "0.5"}', "line 4, reflect.target: expected a number, not a text (received '0.5')"),
        (
            "reflect: {gate: {margins: {ended: true}}}",
            "line 4, reflect.gate.margins.ended: expected a number, not yes or no (received True)",
        ),
        (
            'tune: {optimizer: {kind: adamw, betas: ["0.9", 0.99]}}',
            "line 4, tune.optimizer.betas.0: expected a number, not a text (received '0.9')",
        ),
    ],
)
def test_what_only_passes_for_a_number_is_refused(line: str, said: str) -> None:
    (found,) = problems(MINIMAL + line + "\n")
    assert found == f"{said}. Write it in digits, without quotes"


def test_numbers_as_people_write_them() -> None:
    """YAML 1.1 reads 1e-4 as a text; whole numbers are fractions too; own code's options are its own affair."""
    text = (
        "name: x\ntasks: [{kind: custom, path: 'a.py:b', weight: 2, options: {flag: true, text: '2'}}]\n"
        "tune: {optimizer: {kind: adamw, lr: 1e-4, betas: [.9, 99e-2]}, clip_norm: 1}\nreflect: {target: null}\n"
    )
    recipe = parse_recipe(text, overrides=["tune.optimizer.weight_decay=1E-2", "rounds=3"])
    assert (recipe.tune.optimizer.lr, recipe.tune.optimizer.betas) == (1e-4, (0.9, 0.99))
    assert (recipe.tune.optimizer.weight_decay, recipe.tune.clip_norm, recipe.rounds) == (0.01, 1.0, 3)
    assert recipe.tasks[0].model_dump()["options"] == {"flag": True, "text": "2"}


@pytest.mark.parametrize(("value", "said"), [("2020-13-45", "month must be in 1..12"), ("[" * 3000, "without end")])
def test_an_override_that_yaml_cannot_read(value: str, said: str) -> None:
    (found,) = problems(MINIMAL, f"name={value}")
    assert found.startswith("--set name=")
    assert said in found
