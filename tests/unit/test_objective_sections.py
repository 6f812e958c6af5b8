import json

import pytest
from pydantic import TypeAdapter, ValidationError

from tutelage.errors import RecipeError
from tutelage.recipe import Recipe
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.objectives import (
    DpoObjective,
    IpoObjective,
    KdAnswersObjective,
    KdObjective,
    KtoObjective,
    Objective,
    OrpoObjective,
    RewardObjective,
    SimpoObjective,
    SumObjective,
    teaching_of,
)
from tutelage.recipe.tune import TuneSection
from tutelage.records.base import RowKind

READ: TypeAdapter[Objective] = TypeAdapter(Objective)
SFT = {"kind": "sft"}
KD = {"kind": "kd", "teacher": "default"}
KD_ANSWERS = {"kind": "kd_answers"}


def summed(*parts: dict[str, object]) -> dict[str, object]:
    return {"kind": "sum", "parts": [{"weight": 1, "objective": part} for part in parts]}


@pytest.mark.parametrize(
    ("section", "rows"),
    [
        (SFT, "examples"),
        (KD, "examples"),
        ({"kind": "dpo"}, "pairs"),
        ({"kind": "kto"}, "unpaired"),
        (summed({"kind": "dpo"}, SFT), "pairs"),
        (summed(SFT, {"kind": "orpo"}), "pairs"),
        (summed(SFT, KD), "examples"),
        ({"kind": "reward"}, "pairs"),
        (summed({"kind": "kto"}, {"kind": "kto", "beta": 1}), "unpaired"),
    ],
)
def test_what_it_learns_from(section: dict[str, object], rows: RowKind) -> None:
    assert READ.validate_python(section).rows == rows


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (summed({"kind": "dpo"}, {"kind": "kto"}), "different kinds of rows: dpo, kto"),
        (summed(SFT, {"kind": "kto"}), "different kinds of rows: sft, kto"),
        (summed({**SFT, "noise": 5}, {"kind": "dpo"}), "noise on the embeddings would reach the other parts"),
        (summed(KD, KD), "only one of its parts may be kd"),
        (summed({"kind": "dpo"}, {"kind": "reward"}), "a reward model predicts no tokens: reward stands alone"),
        ({"kind": "reward", "margin": -1}, "greater than or equal to 0"),
        (summed(SFT), "at least 2"),
        (summed(SFT, summed(SFT, SFT)), "tag 'sum' found"),
        ({**KD, "divergence": "jsd", "top_k": 8}, "only the forward divergence"),
        ({**KD, "on_policy": 0.5, "top_k": 8}, "cannot judge what the student answers later"),
        ({**KD, "on_policy": 1.5}, "less than or equal to 1"),
        ({"kind": "dpo", "label_smoothing": 0.5}, "less than 0.5"),
        ({"kind": "kd"}, "teacher"),
        (summed(KD_ANSWERS, KD_ANSWERS), "only one of its parts may be kd_answers"),
        (summed({"kind": "dpo"}, KD_ANSWERS), "kd_answers learns from examples, and its parts from pairs"),
        ({**KD_ANSWERS, "unmatched": "keep"}, "'sequence' or 'drop'"),
    ],
)
def test_what_does_not_fit_together(section: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        READ.validate_python(section)


def test_the_part_that_has_a_teacher() -> None:
    assert teaching_of(READ.validate_python(SFT)) is None
    found = READ.validate_python(summed(SFT, KD))
    assert isinstance(found, SumObjective)
    assert isinstance(teaching_of(found), KdObjective)
    assert teaching_of(READ.validate_python(summed(SFT, SFT))) is None


def test_beta_is_of_jsd_alone() -> None:
    for objective in (KD, summed(SFT, KD)):
        text = json.dumps({"name": "a", "tasks": [{"kind": "safety"}], "tune": {"objective": objective}})
        recipe = parse_recipe(text)
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe, (
            "defaults in a run's own file are no fault"
        )
        with pytest.raises(RecipeError, match=r"beta.*it belongs to jsd, and the divergence is forward"):
            parse_recipe(text.replace('"teacher"', '"beta": 0.2, "teacher"'))


def test_kto_wants_others_to_compare_with() -> None:
    with pytest.raises(ValidationError, match="take a batch_size of 2 or more"):
        TuneSection.model_validate({"objective": {"kind": "kto"}, "batch_size": 1})


def test_a_reward_model_has_no_predictions_to_retain() -> None:
    with pytest.raises(ValidationError, match="retention: a reward model predicts no tokens"):
        TuneSection.model_validate({"objective": {"kind": "reward"}, "retention": {}})


def test_every_field_has_its_help() -> None:
    pairs = (DpoObjective, IpoObjective, OrpoObjective, SimpoObjective, RewardObjective)
    for section in (KdObjective, KdAnswersObjective, SumObjective, KtoObjective, *pairs):
        fields = section.model_fields
        assert [name for name, field in fields.items() if not field.description and name != "kind"] == []
