"""Learning rates at hand-computed steps."""

import pytest

from tutelage.recipe.tune import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule, WsdSchedule
from tutelage.tune.training.schedules import rate_share


def test_constant_rises_and_stays() -> None:
    schedule = ConstantSchedule(kind="constant", warmup_share=0.5)
    assert [rate_share(schedule, step, steps=4) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


def test_linear_falls_to_zero_after_the_last_step() -> None:
    schedule = LinearSchedule(kind="linear", warmup_share=0.2)
    shares = [rate_share(schedule, step, steps=10) for step in range(10)]
    assert shares == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def test_cosine_is_half_way_in_the_middle() -> None:
    schedule = CosineSchedule(kind="cosine", warmup_share=0.0)
    assert rate_share(schedule, 0, steps=8) == 1.0
    assert rate_share(schedule, 2, steps=8) == pytest.approx((1 + 2**-0.5) / 2)
    assert rate_share(schedule, 4, steps=8) == pytest.approx(0.5)


def test_wsd_stays_at_the_peak_and_falls_at_the_end() -> None:
    schedule = WsdSchedule(kind="wsd", warmup_share=0.2, decay_share=0.4)
    shares = [rate_share(schedule, step, steps=10) for step in range(10)]
    assert shares == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    "schedule", [LinearSchedule(kind="linear"), CosineSchedule(kind="cosine"), WsdSchedule(kind="wsd")]
)
def test_a_single_step_has_the_full_rate(schedule: Schedule) -> None:
    assert rate_share(schedule, 0, steps=1) == 1.0
