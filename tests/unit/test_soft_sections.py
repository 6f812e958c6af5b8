"""Sections of prefix and prompt tuning: what begins how, and what is refused."""

import pytest
from pydantic import ValidationError

from tutelage.errors import TrainingError
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import TuneSection
from tutelage.tune.training.optimizers import check_optimizer


def test_kinds_choose_their_section_and_come_back_from_their_json() -> None:
    for written, kind in (
        ({"kind": "prompt", "init": "text", "text": "Answer in one word."}, PromptMethod),
        ({"kind": "prefix", "projection": 512}, PrefixMethod),
        ({"kind": "prefix", "tokens": 4, "init": "random"}, PrefixMethod),
    ):
        section = TuneSection.model_validate({"method": written})
        assert isinstance(section.method, kind)
        assert TuneSection.model_validate_json(section.model_dump_json()) == section


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "prompt", "tokens": 0}, "greater than or equal to 1"),
        ({"kind": "prompt", "init": "text"}, "init is text, and there is none"),
        ({"kind": "prompt", "text": "a"}, "it belongs to init: text"),
        ({"kind": "prefix", "init": "text"}, "init is text, and there is none"),
        ({"kind": "prefix", "init": "random", "text": "a"}, "it belongs to init: text"),
        ({"kind": "prefix", "projection": 8, "init": "vocabulary"}, "a projection begins at random"),
        ({"kind": "prompt", "projection": 8}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TuneSection.model_validate({"method": wrong})


def test_every_field_has_its_help() -> None:
    for section in (PrefixMethod, PromptMethod):
        fields = section.model_fields
        assert [name for name, field in fields.items() if not field.description and name != "kind"] == []


def test_an_optimizer_of_matrices_alone_fits_where_no_vector_is_learned() -> None:
    muon = {"optimizer": {"kind": "torch", "name": "Muon"}}
    check_optimizer(TuneSection.model_validate({**muon, "method": {"kind": "prefix"}}))
    with pytest.raises(TrainingError, match="Muon refuses"):
        check_optimizer(TuneSection.model_validate({**muon, "method": {"kind": "prefix", "projection": 8}}))
