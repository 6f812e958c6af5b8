"""The section of reinforcement learning: what contradicts itself is refused, and what would be ignored."""

import pytest
from pydantic import ValidationError

from tutelage.errors import RecipeError
from tutelage.recipe import Recipe
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.objectives import SumObjective
from tutelage.recipe.tune import TuneSection

RECIPE = "name: a\ntasks:\n  - {kind: safety}\ntune:\n  objective: {kind: grpo}\n"


def test_it_learns_from_prompts_and_every_field_has_its_help() -> None:
    section = TuneSection.model_validate({"objective": {"kind": "grpo"}})
    assert section.objective.rows == "prompts"
    assert section.row_tokens == section.max_tokens - 128
    fields = GrpoObjective.model_fields
    assert len(fields) <= 20
    assert [name for name, field in fields.items() if not field.description and name != "kind"] == []
    assert Recipe.model_validate_json(parse_recipe(RECIPE).model_dump_json()) == parse_recipe(RECIPE)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"objective": {"kind": "grpo"}, "data": {"path": "a.jsonl"}}, "asks the train split of the recipe's tasks"),
        ({"objective": {"kind": "grpo", "max_tokens": 1024}}, "leaves none of them to the prompt"),
        ({"objective": {"kind": "grpo", "group": 1}}, "greater than or equal to 2"),
        ({"objective": {"kind": "grpo", "temperature": 0}}, "greater than 0"),
        ({"objective": {"kind": "grpo", "top_p": 0.9}}, "Extra inputs"),
        ({"objective": {"kind": "grpo", "levels": []}}, "at least 1"),
        ({"objective": {"kind": "grpo", "clip_low": 1}}, "less than 1"),
    ],
)
def test_what_does_not_fit_together(section: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TuneSection.model_validate(section)


def test_it_is_no_part_of_a_sum() -> None:
    parts = [{"weight": 1, "objective": {"kind": "grpo"}}, {"weight": 1, "objective": {"kind": "sft"}}]
    with pytest.raises(ValidationError, match="grpo"):
        SumObjective.model_validate({"kind": "sum", "parts": parts})


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (RECIPE.replace("{kind: grpo}", "{kind: grpo, clip_high: 0.3}"), "clip_high", "updates is 1"),
        (RECIPE.replace("{kind: grpo}", "{kind: grpo, clip_low: 0.1}"), "clip_low", "there is no second"),
        (RECIPE + "rounds: 3\n", "rounds", "learns from its own answers"),
        (RECIPE + "curate: {steps: []}\n", "curate", "no loop is there to read it"),
        (RECIPE.replace("safety}", "safety, weight: 2}"), "tasks.0.weight", "objective.prompts"),
        (RECIPE.replace("safety}", "safety, answer_tokens: 9}"), "tasks.0.answer_tokens", "objective.max_tokens"),
        (RECIPE.replace("safety}", "safety, sample_from: 2}"), "tasks.0.sample_from", "no rounds"),
        ("name: a\ntune:\n  objective: {kind: grpo}\n", "tasks", "name at least one"),
    ],
)
def test_what_would_be_ignored_is_refused(text: str, where: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    (found,) = map(str, caught.value.problems)
    assert where in found
    assert why in found


def test_with_several_updates_clipping_applies() -> None:
    recipe = parse_recipe(RECIPE.replace("{kind: grpo}", "{kind: grpo, clip_high: 0.3, updates: 2}"))
    assert isinstance(recipe.tune.objective, GrpoObjective)
    assert recipe.tune.objective.clip_high == 0.3
