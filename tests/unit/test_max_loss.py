"""How many rows curation may drop before it fails, and what the error tells."""

from pathlib import Path

import pytest

from tutelage.curate import Personal, curate
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.losses import Limits, Passed, refuse_losses
from tutelage.curate.selection.amount import Amount
from tutelage.errors import DataError, RecipeError
from tutelage.pipeline.standalone import curate as curate_rows
from tutelage.recipe import parse_recipe
from tutelage.records import Dropped, Example, Lineage, assistant, user

LINEAGE = Lineage(paradigm="expert", source="test", author="test")
STEPS = (Validate(), Quality(), Personal(action="drop", find=["email"]))
RECIPE = "name: x\ntasks: [{kind: safety}]\ncurate:\n  steps: [{kind: validate}, {kind: quality}]\n  max_loss: LOSS\n"


def rows() -> list[Example]:
    """Ten rows: two empty answers, one that goes round in circles, one with an address, six to keep."""
    answers = ["", " ", "round and round and round we go " * 8, "Ask a@b.org.", *(f"Answer {n}." for n in range(6))]
    return [
        Example(id=f"r{n}", messages=(user(f"Question {n}?"), assistant(answer)), lineage=LINEAGE)
        for n, answer in enumerate(answers)
    ]


@pytest.mark.parametrize(
    "limits",
    [None, Limits(), Limits(overall=0.4), Limits(step=0.2), Limits(step=0.13, steps={"validate": 0.2, "pii": 0.15})],
)
def test_what_may_be_dropped_is_dropped(limits: Limits | None) -> None:
    assert len(curate(rows(), STEPS, limits=limits).kept) == 6


def test_the_error_names_every_step_with_numbers_examples_and_a_remedy() -> None:
    with pytest.raises(DataError) as caught:
        curate(rows(), STEPS, limits=Limits(overall=0.39, step=0.12, steps={"quality": 0.5}))
    found = [(problem.where, problem.what) for problem in caught.value.problems]
    assert found == [
        ("curate.max_loss.step", "validate drops 2 of 10 rows (20.0%), at most 12.0% may go"),
        # Of the seven rows that reach it: validate and quality have dropped three.
        ("curate.max_loss.step", "pii drops 1 of 7 rows (14.3%), at most 12.0% may go"),
        (
            "curate.max_loss",
            "all steps (validate 2, quality 1, pii 1) drop 4 of 10 rows (40.0%), at most 39.0% may go",
        ),
    ]
    assert caught.value.problems[0].received == "for example r0: empty answer; r1: empty answer"
    assert "curate.max_loss=1" in caught.value.problems[0].remedy
    assert "nothing was written" in str(caught.value)


def test_nothing_is_written_where_too_much_is_lost(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"curate\.max_loss"):
        curate_rows(rows(), recipe=parse_recipe(RECIPE.replace("LOSS", "0.2")), out=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    curated = curate_rows(rows(), recipe=parse_recipe(RECIPE.replace("LOSS", "0.3")), out=tmp_path / "kept")
    assert len(curated.kept) == 7
    assert (tmp_path / "kept" / "ledger.json").is_file()


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ("1.2", "less than or equal to 1"),
        ("yes", "max_loss"),
        ("{overal: 0.2}", "Did you mean 'overall'"),
        ("{steps: {mix: 1}}", "there is no step 'mix'; there are: validate, quality"),
        ("{steps: {quality: 2}}", "less than or equal to 1"),
    ],
)
def test_limits_that_cannot_be_are_refused(loss: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        parse_recipe(RECIPE.replace("LOSS", loss))


def test_a_step_of_ones_own_has_a_name_that_only_its_code_knows() -> None:
    text = RECIPE.replace("{kind: quality}", "{kind: custom, path: a.py:b}").replace("LOSS", "{steps: {mine: 0.5}}")
    assert parse_recipe(text).curate.max_loss.steps == {"mine": 0.5}


@pytest.mark.parametrize(("limit", "dropped", "rows"), [(0.29, 29, 100), (0.57, 57, 100), (0.07, 7, 100)])
def test_a_share_is_met_by_exactly_so_many_rows(limit: float, dropped: int, rows: int) -> None:
    lost = [Dropped(id=str(at), step="own", reason="odd") for at in range(dropped + 1)]
    refuse_losses([Passed("own", rows, dropped, lost[:3])], Limits(overall=limit, step=limit))
    with pytest.raises(DataError):
        refuse_losses([Passed("own", rows, dropped + 1, lost[:3])], Limits(overall=limit))


@pytest.mark.parametrize(("share", "rows"), [(0.5, 1005), (0.5, 5), (0.9, 5), (0.9, 2005), (0.7, 10), (0.001, 3)])
def test_no_more_is_chosen_away_than_a_share_leaves(share: float, rows: int) -> None:
    gone = rows - Amount(share).of(rows)
    assert gone <= (1 - share) * rows + 1e-9 < gone + 1
