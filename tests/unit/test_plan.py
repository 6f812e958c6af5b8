"""Dividing a budget over cells."""

import pytest

from tutelage.errors import DataError
from tutelage.records.scores import CellState, Plan
from tutelage.reflect.plan import allocate, round_shares, uniform

WEAK = CellState(dimension="d", level="basic", value=0.2, accepted=40, attempted=200, tokens=20_000)


def attempts(plan: Plan) -> dict[str, int]:
    return {f"{a.dimension}/{a.level}": a.attempts for a in plan.allocations}


def test_shares_by_hand() -> None:
    # Same record of yield and no known progress: weight × gap = 0.8, 1.6 and 0.4.
    cells = [
        WEAK,
        WEAK.model_copy(update={"level": "intermediate", "weight": 2.0}),
        WEAK.model_copy(update={"level": "advanced", "value": 0.6}),
    ]
    plan = allocate(cells, 70)
    assert [a.attempts for a in plan.allocations] == [20, 40, 10]
    # Posterior Beta(41, 161): mean .20297, standard deviation .02823; 100 tokens an attempt.
    assert "yield 2.31 a 1,000 tokens" in plan.allocations[0].reason


def test_yield_counts_tokens_and_favors_the_untried() -> None:
    dear = WEAK.model_copy(update={"level": "expert", "tokens": 80_000})
    untried = CellState(dimension="e", level="basic", value=0.2)
    found = attempts(allocate([WEAK, dear, untried], 1000))
    assert found["d/basic"] == pytest.approx(4 * found["d/expert"], abs=4)
    assert found["e/basic"] > found["d/expert"]


def test_progress_moves_budget_within_bounds() -> None:
    fast, slow, stalled, unknown = (
        WEAK.model_copy(update={"dimension": name, "progress": progress})
        for name, progress in (("f", 0.003), ("s", 0.001), ("x", -0.01), ("u", None))
    )
    found = attempts(allocate([fast, slow, stalled, unknown], 3250))
    assert (found["f/basic"], found["s/basic"], found["x/basic"], found["u/basic"]) == (1500, 500, 250, 1000)


def test_a_barren_cell_spends_on_the_level_below_or_on_the_teacher_and_says_so() -> None:
    barren = CellState(dimension="d", level="intermediate", value=0.0, accepted=1, attempted=100, tokens=9_000)
    worse = barren.model_copy(update={"level": "advanced"})
    plan = allocate([WEAK, barren, worse], 300)
    below, teacher = plan.allocations[1:]
    assert (below.spent_at, below.by) == ("basic", "student")
    assert "1 of 100 attempts were accepted: spends on the level below, basic" in below.reason
    assert (teacher.spent_at, teacher.by) == ("advanced", "teacher")
    assert "spends on the teacher" in teacher.reason
    assert below.attempts > 0
    assert "2 with too low a yield spend elsewhere" in plan.words


def test_where_there_is_no_teacher_no_plan_names_one() -> None:
    barren = CellState(dimension="d", level="intermediate", value=0.0, accepted=1, attempted=100, tokens=10_000)
    worse = barren.model_copy(update={"level": "advanced"})
    alone = barren.model_copy(update={"dimension": "e", "level": "basic"})
    plan = allocate([WEAK, barren, worse, alone], 300, floor=5, teacher=False)
    assert all(a.by == "student" for a in plan.allocations)
    assert plan.allocations[1].spent_at == "basic", "the level below is still the better place"
    for stuck in plan.allocations[2:]:
        assert stuck.spent_at == stuck.level
        assert "1 of 100 attempts were accepted, the level below is no better and there is no teacher" in stuck.reason
    assert "spends on the teacher" not in plan.model_dump_json()
    assert "1 with too low a yield spends elsewhere" in plan.words, "two of the three stay where they are"
    taught = attempts(allocate([WEAK, barren, worse, alone], 300, floor=5))
    assert 5 <= attempts(plan)["e/basic"] < taught["e/basic"] / 2, "its own yield decides, not a teacher's"


def test_two_percent_is_not_barren_and_fewer_than_a_hundred_attempts_prove_nothing() -> None:
    at_limit = CellState(dimension="d", level="basic", value=0.1, accepted=2, attempted=100)
    too_few = CellState(dimension="e", level="basic", value=0.1, accepted=0, attempted=99)
    assert all(a.by == "student" and "spends" not in a.reason for a in allocate([at_limit, too_few], 10).allocations)


def test_floor_reaches_every_open_cell_and_none_that_is_closed() -> None:
    tiny = WEAK.model_copy(update={"dimension": "t", "weight": 0.001})
    closed = WEAK.model_copy(update={"dimension": "c", "value": 0.95})
    found = attempts(allocate([WEAK, tiny, closed], 100, floor=10, target=0.9))
    assert found["t/basic"] == 10
    assert found["c/basic"] == 0
    assert attempts(allocate([WEAK, tiny], 7, floor=10)) == {"d/basic": 4, "t/basic": 3}


def test_no_gap_at_all_is_divided_evenly_and_said() -> None:
    done = [WEAK.model_copy(update={"dimension": name, "value": 1.0}) for name in "abc"]
    plan = allocate(done, 10)
    assert [a.attempts for a in plan.allocations] == [4, 3, 3]
    assert "evenly" in plan.words


def test_uniform_ignores_scores_but_not_what_is_done() -> None:
    cells = [
        WEAK,
        WEAK.model_copy(update={"dimension": "e", "value": 0.9}),
        WEAK.model_copy(update={"dimension": "f", "value": 1.0}),
    ]
    assert [a.attempts for a in uniform(cells, 11).allocations] == [6, 5, 0]


def test_faults_are_refused_together() -> None:
    with pytest.raises(DataError) as caught:
        allocate([WEAK, WEAK], -1)
    assert "given twice" in str(caught.value)
    assert "negative" in str(caught.value)
    with pytest.raises(DataError, match="no cell"):
        uniform([], 5)


def test_largest_remainder_by_hand() -> None:
    assert round_shares([3, 3, 3], 10) == [4, 3, 3]
    assert round_shares([47_000, 16_000, 15_800, 12_000, 6_100, 3_100], 10) == [5, 2, 1, 1, 1, 0]
