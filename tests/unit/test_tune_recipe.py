"""The tuning section: tagged unions, and nothing unknown or contradictory."""

import pytest
from pydantic import ValidationError

from tutelage.recipe.tune import FullMethod, LoraMethod, TuneSection


def test_kinds_choose_their_section() -> None:
    assert TuneSection.model_validate({"method": {"kind": "full"}}).method == FullMethod(kind="full")
    lora = TuneSection.model_validate({"method": {"kind": "lora", "r": 4, "targets": ["q_proj"]}}).method
    assert lora == LoraMethod(kind="lora", r=4, targets=("q_proj",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": {"kind": "full", "r": 8}},
        {"method": {"kind": "lora", "targets": []}},
        {"method": {"kind": "lora", "targets": "q_proj"}},
        {"method": {"r": 8}},
        {"schedule": {"kind": "linear", "warmup_share": 1.0}},
        {"optimizer": {"kind": "adamw", "betas": [0.9, 1.0]}},
        {"optimizer": {"kind": "adamw", "lr": 0}},
        {"batch_size": 0},
        {"learning_rate": 1e-3},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TuneSection.model_validate(wrong)


def test_every_field_has_its_help_and_sections_stay_small() -> None:
    for section in (TuneSection, LoraMethod, FullMethod):
        fields = section.model_fields
        assert len(fields) <= 20
        assert [name for name, field in fields.items() if not field.description and name != "kind"] == []
