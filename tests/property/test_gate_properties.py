"""Never promoted without proof: whatever the answers, and as often as promised when nothing changed."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import LEVELS, Engine, Level
from tutelage.records.scores import GateScores, ItemScore
from tutelage.reflect.gate import GateRule, decide

ENGINE = Engine(model="m", engine="scripted")
RULE = GateRule(resamples=1000)
KINDS = [("instruction_following", ""), ("faithfulness", ""), ("safety", "harmful"), ("safety", "harmless")]
Row = tuple[tuple[str, str], Level, int, float | None, float | None]
VALUE = st.sampled_from([0.0, 1.0, 1.0, 0.0, 0.5, None])


def side(rows: list[Row], position: int) -> GateScores:
    items = [
        ItemScore(
            item_id=str(number),
            dimension=row[0][0],
            facet=row[0][1],
            level=row[1],
            group=f"{row[0]}{row[2]}",
            score=(value := (row[3], row[4])[position]),
            counted=value,
        )
        for number, row in enumerate(rows)
    ]
    return GateScores(engine=ENGINE, items=tuple(items))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(LEVELS), st.integers(0, 20), VALUE, VALUE), max_size=80
    ),
    seed=st.integers(0, 100),
)
def test_promotion_needs_a_lower_bound_above_zero_and_every_guard(rows: list[Row], seed: int) -> None:
    found = decide(side(rows, 0), side(rows, 1), rule=RULE, seed=seed)
    if found.outcome == "promoted":
        assert found.macro.low > 0
        assert all(guard.outcome == "passed" for guard in found.guards)
    if found.macro.estimate is not None and found.macro.estimate <= 0:
        assert found.outcome == "rejected"
    if any(guard.outcome == "failed" for guard in found.guards):
        assert found.outcome == "rejected"
    assert found.words
    assert "nan" not in found.words
    same = decide(side(rows, 0), side(rows, 0), rule=RULE, seed=seed)
    assert same.outcome != "promoted"


def test_a_model_that_is_no_better_is_seldom_promoted() -> None:
    """Nominal 2.5 % a round; with 120 gates more than 8 promotions would have a chance below 1 %."""
    promoted = 0
    for seed in range(120):
        draw = random.Random(seed)
        rows: list[Row] = []
        for level in LEVELS[:3]:
            for group in range(12):
                rate = draw.betavariate(2, 3)
                rows += [
                    (
                        ("instruction_following", ""),
                        level,
                        100 * len(level) + group,
                        *(float(draw.random() < rate) for _ in "ba"),
                    )  # type: ignore[misc]
                    for _ in range(3)
                ]
        promoted += decide(side(rows, 0), side(rows, 1), rule=RULE, seed=seed).outcome == "promoted"
    assert promoted <= 8
