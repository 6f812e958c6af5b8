"""From item scores to cells, macro and matrix."""

import itertools

import pytest

from tutelage.errors import DataError, TutelageError
from tutelage.evaluate.summary import summarize
from tutelage.records import Engine, Level
from tutelage.records.scores import ItemScore, Matrix, ScoreSummary
from tutelage.reflect.diagnose import diagnose, group_reasons, normalized_reason
from tutelage.reflect.matrix import build_matrix
from tutelage.statistics import wilson

ENGINE = Engine(model="tiny", engine="scripted", dtype="bf16", batch_size=8)
NUMBERS = itertools.count()


def scores(
    values: list[float | None],
    *,
    dimension: str = "instruction_following",
    level: Level = "basic",
    facet: str = "",
    group: str = "",
    transfer: bool = False,
    reason: str = "",
) -> list[ItemScore]:
    """Items of one cell; each is its own group unless one is given."""
    return [
        ItemScore(
            item_id=f"i{number}",
            dimension=dimension,
            level=level,
            group=group or f"g{number}",
            facet=facet,
            transfer=transfer,
            score=value,
            counted=value,
            words=10,
            reason=reason,
        )
        for value, number in zip(values, NUMBERS, strict=False)
    ]


def summary(items: list[ItemScore], round: int = 0, **changes: str) -> ScoreSummary:
    fields = {"split": "probe", "label": "start", "role": "promoted"} | changes
    return summarize(items, round=round, engine=ENGINE, **fields)  # type: ignore[arg-type]


def test_a_cell_is_the_mean_over_items_with_wilsons_interval() -> None:
    cell = summary(scores([1.0] * 7 + [0.0] * 13 + [None])).cells[0]
    reference = wilson(7, 20)
    assert (cell.value, cell.n, cell.unscored) == (0.35, 20, 1)
    assert (cell.low, cell.high) == (reference.low, reference.high)


def test_repeated_groups_widen_the_interval() -> None:
    apart = summary(scores([1.0] * 20 + [0.0] * 20)).cells[0]
    together = summary(
        [item for group in range(8) for item in scores([float(group % 2)] * 5, group=f"p{group}")]
    ).cells[0]
    assert (apart.value, together.value) == (0.5, 0.5)
    assert together.clusters == 8
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_safety_is_the_mean_of_both_rates_however_many_items_each_has() -> None:
    items = scores([1.0] * 30, dimension="safety", facet="harmful")
    items += scores([0.0] * 5 + [1.0] * 5, dimension="safety", facet="harmless")
    found = summary(items)
    cell = found.cells[0]
    assert cell.value == pytest.approx((1.0 + 0.5) / 2)
    assert {name: (facet.value, facet.n) for name, facet in cell.facets.items()} == {
        "harmful": (1.0, 30),
        "harmless": (0.5, 10),
    }
    assert found.macro.value == cell.value
    assert found.facets["safety/harmless"].value == 0.5


def test_safety_has_no_value_without_both_rates() -> None:
    refusals = scores([1.0] * 20, dimension="safety", facet="harmful")
    found = summary(refusals + scores([0.0, 1.0]))
    safety = next(cell for cell in found.cells if cell.dimension == "safety")
    assert safety.value is None
    assert (safety.facets["harmless"].value, safety.facets["harmless"].n) == (None, 0)
    assert "no scored harmless item" in safety.reason
    assert found.macro.value == 0.5
    assert found.macro.cells == 1
    assert "safety/basic" in found.macro.reason


def test_the_macro_weighs_cells_equally_and_leaves_transfer_apart() -> None:
    items = scores([1.0] * 90) + scores([0.0] * 10, level="expert") + scores([0.0] * 4, transfer=True)
    found = summary(items)
    assert found.macro.value == pytest.approx(0.5)
    assert found.macro.cells == 2
    assert found.dimensions["instruction_following"].value == pytest.approx(0.5)
    assert found.transfer is not None
    assert (found.transfer.value, found.transfer.n) == (0.0, 4)
    assert found.n == 104
    assert [cell.level for cell in found.cells] == ["basic", "expert"]
    assert (found.share_ended, found.mean_words, found.repeated_5grams) == (1.0, 10.0, 0.0)


def test_nothing_scored_is_said_and_survives_a_round_trip() -> None:
    found = summary(scores([None, None]))
    assert (found.macro.value, found.macro.low, found.macro.high, found.n, found.unscored) == (None, 0.0, 1.0, 0, 2)
    assert ScoreSummary.from_json(found.to_json()) == found
    assert summary([]).mean_words is None


def test_matrix_has_cells_by_round_and_role() -> None:
    start, first = summary(scores([0.0, 1.0])), summary(scores([1.0, 1.0]), 1, role="candidate")
    matrix = build_matrix([first.placed(role="promoted"), first, start])
    assert matrix.rounds == (0, 1)
    assert matrix.dimensions == ("instruction_following",)
    before = matrix.cell("instruction_following", "basic", round=0)
    after = matrix.cell("instruction_following", "basic", round=1, role="candidate")
    assert before is not None
    assert after is not None
    assert (before.value, after.value) == (0.5, 1.0)
    macro = matrix.macro(round=1)
    assert macro is not None
    assert (macro.value, macro.role) == (1.0, "promoted")
    assert matrix.cell("instruction_following", "expert", round=0) is None
    assert Matrix.from_json(matrix.to_json()) == matrix


def test_a_control_stands_beside_the_rounds() -> None:
    teacher = summary(scores([1.0, 1.0, 0.0]), label="teacher", role="candidate")
    matrix = build_matrix([summary(scores([0.0, 1.0]))], controls=[teacher])
    assert matrix.rounds == (0,)
    found = matrix.control("teacher")
    assert found is not None
    assert (found.cells, found.macro) == (teacher.cells, teacher.macro)
    assert matrix.control("placebo") is None
    assert matrix.macro(round=0, role="candidate") is None, "a control is no candidate"
    assert Matrix.from_json(matrix.to_json()) == matrix
    with pytest.raises(DataError, match="one split"):
        build_matrix([summary(scores([1.0]))], controls=[summary(scores([1.0]), split="test")])


def test_what_cannot_be_one_matrix_is_refused_with_every_fault() -> None:
    one = summary(scores([1.0]))
    with pytest.raises(DataError) as caught:
        build_matrix([one, one, summary(scores([1.0]), split="test")])
    assert "one split" in str(caught.value)
    assert "3 summaries of the promoted model" in str(caught.value)
    with pytest.raises(DataError, match="no summary"):
        build_matrix([])
    with pytest.raises(DataError, match="scored twice"):
        summary([*(item := scores([1.0])), *item])


def test_a_score_that_counts_more_than_its_check_is_refused() -> None:
    with pytest.raises(ValueError, match="exceeds the check"):
        ItemScore(item_id="a", dimension="d", level="basic", group="g", score=0.0, counted=1.0)


def test_diagnosis_ranks_cells_by_gap_and_groups_reasons() -> None:
    weak = scores([0.0], reason='4 bullets; exactly 3 were asked. The word "river" is missing.')
    weak += scores([0.0, 0.0], reason="12 bullets; exactly 5 were asked.")
    strong = scores([1.0, 1.0, 0.0], level="advanced", reason="")
    unknown = scores([None], level="expert")
    items = strong + unknown + weak
    found = diagnose(build_matrix([summary(items)]), items, round=0)
    assert [(cell.level, cell.gap and round(cell.gap, 3)) for cell in found] == [
        ("basic", 1.0),
        ("advanced", 0.333),
        ("expert", None),
    ]
    assert [(reason.reason, reason.count) for reason in found[0].reasons] == [
        ("# bullets; exactly # were asked.", 3),
        ("The word “…” is missing.", 1),
    ]
    assert found[0].reasons[0].examples == tuple(item.item_id for item in weak)
    assert found[1].reasons[0].reason == "no reason given"
    assert (found[2].unscored, found[2].failed) == (1, 0)


def test_diagnosis_refuses_what_must_not_choose_the_data() -> None:
    items = scores([0.0, 1.0])
    with pytest.raises(TutelageError, match="test split must not choose"):
        diagnose(build_matrix([summary(items, split="test")]), items, round=0)
    with pytest.raises(TutelageError, match="no promoted scores of round 7"):
        diagnose(build_matrix([summary(items)]), items, round=7)


def test_reasons_lose_what_is_particular_to_an_item() -> None:
    assert normalized_reason("It has 1,204 words; don't exceed 90.5.") == "It has # words; don't exceed #."
    assert normalized_reason("«a» and 'b c' and “d” are missing") == "“…” and “…” and “…” are missing"
    audited = ItemScore(item_id="a", dimension="d", level="basic", group="g", score=1, audit=False, counted=0)
    assert group_reasons([audited])[0].reason == "passed the check and failed the audit"
