"""Whatever the cells: the plan adds up and moves with the gap."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import LEVELS
from tutelage.records.scores import CellState
from tutelage.reflect.plan import allocate, round_shares, uniform


@st.composite
def states(draw: st.DrawFn) -> list[CellState]:
    names = draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(LEVELS)), min_size=1, unique=True))
    cells = []
    for dimension, level in names:
        attempted = draw(st.integers(0, 500))
        cells.append(
            CellState(
                dimension=dimension,
                level=level,
                weight=draw(st.floats(0, 10)),
                value=draw(st.none() | st.floats(0, 1)),
                accepted=draw(st.integers(0, attempted)),
                attempted=attempted,
                tokens=draw(st.integers(0, 100_000)),
                progress=draw(st.none() | st.floats(-1, 1)),
            )
        )
    return cells


@settings(deadline=None)
@given(cells=states(), budget=st.integers(0, 5000), floor=st.integers(0, 100))
def test_plans_add_up_and_reach_the_floor(cells: list[CellState], budget: int, floor: int) -> None:
    for policy in (allocate, uniform):
        plan = policy(cells, budget, floor=floor)
        assert sum(a.attempts for a in plan.allocations) == budget
        assert all(a.attempts >= 0 and a.reason for a in plan.allocations)
    weights = [cell.weight > 0 and cell.value != 1.0 for cell in cells]
    if any(weights):
        least = min(floor, budget // sum(weights))
        given_to = [
            a.attempts for a, has in zip(allocate(cells, budget, floor=floor).allocations, weights, strict=True) if has
        ]
        assert min(given_to) >= least


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.integers(0, 10_000))
def test_rounding_stays_within_one_of_the_exact_share(shares: list[float], total: int) -> None:
    counts = round_shares(shares, total)
    assert sum(counts) == total
    assert all(abs(count - share / sum(shares) * total) < 1 + 1e-6 for count, share in zip(counts, shares, strict=True))


@settings(deadline=None)
@given(values=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_gap_never_gets_less(values: tuple[float, float]) -> None:
    low, high = sorted(values)
    cells = [CellState(dimension=name, level="basic", value=value) for name, value in (("a", low), ("b", high))]
    first, second = allocate(cells, 101).allocations
    assert first.attempts >= second.attempts
