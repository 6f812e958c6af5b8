"""What a recipe sets of the gate's guards: it reaches the rule, and names that no guard has are refused."""

from pathlib import Path

import pytest

from tutelage.cli.recipe import validate_command
from tutelage.errors import RecipeError
from tutelage.evaluate.general_texts import general_prompts
from tutelage.pipeline.items import gate_rule
from tutelage.pipeline.run import run
from tutelage.recipe import Recipe, parse_recipe
from tutelage.recipe.evaluate import EvaluateSection
from tutelage.records import content_id
from tutelage.records.scores import UtilityMeasures
from tutelage.reflect.gate import GateRule
from tutelage.reflect.guards import UTILITY_GUARDS, NonInferiority, utility_guards
from tutelage.tasks.build import build_tasks

ALL = "[{kind: safety}, {kind: constraints}, {kind: grounded}]"
ROWS = "[{kind: rows, path: rows.csv, check: exact, dimension: triage}]"


def recipe(gate: str, tasks: str = ALL, more: str = "") -> Recipe:
    return parse_recipe(f"name: gated\nrounds: 1\ntasks: {tasks}\nreflect: {{gate: {gate}}}\n{more}")


def rule(given: Recipe) -> GateRule:
    return gate_rule(given, build_tasks(given.tasks, given.folder))


def faults(given: Recipe) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        rule(given)
    return [str(problem) for problem in caught.value.problems]


def test_margins_and_required_guards_reach_the_rule() -> None:
    margins = "{safety/harmful: 0.02, length: 2.5, instruction_following: 0.3}"
    found = rule(recipe(f"{{margin: 0.2, margins: {margins}, required: [ended, safety/harmless]}}"))
    assert found.margin_of("safety/harmful") == 0.02
    assert found.margin_of("length") == 2.5
    assert found.margin_of("faithfulness") == found.margin_of("perplexity") == 0.2
    assert found.required == ("ended", "safety/harmless")
    assert "instruction_following" in found.guards, "a dimension with a margin is guarded"
    assert "faithfulness" in found.guards
    assert rule(recipe("{}")).guards == GateRule().guards, "nothing is guarded that nobody named"
    assert rule(recipe("{}")).margin_of("length") == 1.0


def test_a_dimension_that_is_required_is_guarded() -> None:
    assert "safety" in rule(recipe("{required: [safety]}")).guards


def test_unknown_guards_are_named_all_at_once_with_the_nearest() -> None:
    found = faults(recipe("{margins: {perplexty: 0.1, zzz: 0.2}, required: [faithfullness]}"))
    assert len(found) == 3
    assert "reflect.gate.margins: there is no such guard (received perplexty). Did you mean 'perplexity'?" in found
    assert any("received zzz" in one and "safety/harmful" in one for one in found)
    assert any("reflect.gate.required" in one and "Did you mean 'faithfulness'?" in one for one in found)


def test_a_guard_that_the_recipe_cannot_measure_is_refused() -> None:
    for gate, tasks, more in (
        ("{margins: {faithfulness: 0.1}}", "[{kind: safety}]", ""),
        ("{required: [safety/harmful]}", "[{kind: constraints}]", ""),
        ("{margins: {references: 0.1}}", ALL, ""),
        ("{margins: {ended: 0.1}}", ALL, "evaluate: {general_prompts: 0}"),
    ):
        (said,) = faults(recipe(gate, tasks, more))
        assert "nothing in this recipe measures this guard" in said
    assert rule(recipe("{margins: {perplexity: 0.3}}", ALL, "evaluate: {general_prompts: 0}")).margins


def test_references_and_own_dimensions_of_rows_have_margins(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt,reference\n" + "".join(f"{n} + 1?,{n + 1}\n" for n in range(30)))
    found = rule(recipe("{margins: {references: 0.2, triage: 0.05}}", ROWS).relative_to(tmp_path))
    assert (found.margin_of("references"), found.margin_of("triage")) == (0.2, 0.05)
    assert "triage" in found.guards


@pytest.mark.parametrize("margin", ["0", "-0.1", "much"])
def test_a_margin_is_a_number_above_0(margin: str) -> None:
    with pytest.raises(RecipeError, match=r"line 4, reflect\.gate\.margins"):
        recipe(f"{{margins: {{ended: {margin}}}}}")


def test_it_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    given = recipe("{margins: {endet: 0.1}}", "[{kind: safety}]")
    with pytest.raises(RecipeError, match="Did you mean 'ended'"):
        run(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    file = tmp_path / "recipe.yaml"
    file.write_text("name: x\ntasks: [{kind: safety}]\nreflect: {gate: {required: [endet]}}\n")
    with pytest.raises(RecipeError, match="Did you mean 'ended'"):
        validate_command(file, [], json=False)


def test_by_default_there_are_enough_general_prompts_to_pass_where_nothing_changes() -> None:
    """A healthy model ends every answer and repeats nothing, before and after: that must not stand in its way."""
    number = EvaluateSection().general_prompts
    assert number <= len(general_prompts())
    prompts = tuple(content_id(prompt) for prompt in general_prompts()[:number])
    flawless = UtilityMeasures(
        documents=("a", "b"),
        nll=(2.0, 3.0),
        prompts=prompts,
        ended=(True,) * number,
        repeated=(0.0,) * number,
        words=(20,) * number,
    )
    found = rule(recipe("{}"))
    tests = {
        name: NonInferiority(found.guard_alpha, found.margin_of(name), 1000, 0, found.max_unscored, found.power)
        for name in UTILITY_GUARDS
    }
    results = utility_guards(flawless, flawless, tests=tests)
    assert {guard.name: guard.outcome for guard in results if guard.name != "perplexity"} == {
        "repetition": "passed",
        "ended": "passed",
        "length": "passed",
    }
