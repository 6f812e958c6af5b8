"""Cohen's κ against published values, by hand, and scikit-learn's where it is installed."""

import random

import pytest

from tutelage.errors import DataError
from tutelage.judging.agreement import agreement
from tutelage.records import Verdict, unscored
from tutelage.statistics import cohen_kappa


def table(counts: list[list[int]]) -> tuple[list[int], list[int]]:
    cells = [(row, column) for row, line in enumerate(counts) for column, n in enumerate(line) for _ in range(n)]
    return [row for row, _ in cells], [column for _, column in cells]


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),  # po 0.7, pe 0.5
        ([[45, 15], [25, 15]], (0.60 - 0.54) / (1 - 0.54)),
        ([[25, 35], [5, 35]], (0.60 - 0.46) / (1 - 0.46)),
        ([[10, 0], [0, 7]], 1.0),
        ([[0, 5], [5, 0]], -1.0),
        # rows .5 .3 .2, columns .4 .3 .3: by chance .20 + .09 + .06
        ([[25, 13, 12], [12, 2, 16], [3, 15, 2]], (0.29 - 0.35) / (1 - 0.35)),
    ],
)
def test_by_hand(counts: list[list[int]], kappa: float) -> None:
    found = cohen_kappa(*table(counts))
    assert found.kappa == pytest.approx(kappa)
    assert found.n == sum(map(sum, counts))


def test_weights_by_hand() -> None:
    """Labels 0, 1, 2: observed disagreement (1·3 + 2·1)/10, by chance Σ |i−j|·row·column / 100."""
    first, second = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 0, 1, 2, 1, 1, 2, 2, 2, 1]
    chance = sum(abs(a - b) for a in first for b in second) / 100
    linear = cohen_kappa(first, second, weights="linear", order=[0, 1, 2])
    assert linear.kappa == pytest.approx(1 - (3 * 1 + 1 * 2) / 10 / chance)
    squares = sum((a - b) ** 2 for a in first for b in second) / 100
    quadratic = cohen_kappa(first, second, weights="quadratic", order=[0, 1, 2])
    assert quadratic.kappa == pytest.approx(1 - (3 * 1 + 1 * 4) / 10 / squares)


def test_where_it_is_not_defined() -> None:
    assert cohen_kappa([], []).kappa is None
    found = cohen_kappa([1, 1, 1], [1, 1, 1])
    assert (found.kappa, found.n, found.observed, found.expected) == (None, 3, 1, 1)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="3 and 2"):
        cohen_kappa([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="order of the labels"):
        cohen_kappa([1], [1], weights="linear")
    with pytest.raises(DataError, match="lacks labels"):
        cohen_kappa([1], [4], weights="linear", order=[1, 2])


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_against_scikit_learn(weights: str | None) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(3)
    first = [draw.randrange(4) for _ in range(200)]
    second = [label if draw.random() < 0.6 else draw.randrange(4) for label in first]
    expected = metrics.cohen_kappa_score(first, second, weights=weights)
    found = cohen_kappa(first, second, weights=weights or "none", order=range(4))  # type: ignore[arg-type]
    assert found.kappa == pytest.approx(expected)


def test_a_judge_and_people_on_the_same_items() -> None:
    people = {str(n): Verdict(score=float(n < 5)) for n in range(10)}
    judged = {str(n): Verdict(score=0.8 if n < 6 else 0.5) for n in range(10)}
    found = agreement(judged, people)
    assert (found.n, found.left_out) == (10, 0)
    assert found.kappa == pytest.approx((0.9 - 0.5) / 0.5)
    judged["0"] = unscored("an outage")
    del judged["1"]
    found = agreement(judged, {**people, "more": Verdict(score=1)})
    assert (found.n, found.left_out) == (8, 3), "an outage is no opinion"
    assert agreement(judged, people, threshold=0.9).observed == pytest.approx(5 / 8)
