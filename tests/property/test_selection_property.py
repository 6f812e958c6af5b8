"""What must hold of every selection: guarantees against the best by brute force, and independence of the order."""

import math
import random
from itertools import combinations, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tutelage.curate.mixture import quotas
from tutelage.curate.selection import apart, facility, vectors
from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.apart import keep_apart
from tutelage.curate.selection.facility import FacilityLocation, facility_location
from tutelage.curate.selection.k_center import KCenter, k_center
from tutelage.curate.selection.semantic import SemanticDuplicates
from tutelage.curate.selection.vectors import Vectors
from tutelage.recipe.curate.embedding import TfidfEmbedding
from tutelage.records import Example, Lineage, assistant, user

SEEDS = st.integers(0, 10**6)


def points(seed: int, n: int, d: int = 3) -> Vectors:
    return Vectors(np.random.default_rng(seed).normal(size=(n, d)))


def cosines(found: Vectors) -> NDArray[np.float64]:
    return found.cosines(range(len(found))).astype(np.float64)


def covering(matrix: NDArray[np.float64], chosen: tuple[int, ...] | list[int]) -> float:
    return float(np.maximum(matrix[:, list(chosen)], 0).max(axis=1).sum())


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 9), st.integers(1, 4))
def test_facility_location_reaches_its_share_of_the_best(seed: int, n: int, k: int) -> None:
    k = min(k, n)
    found = points(seed, n)
    matrix = cosines(found)
    chosen = [one.place for one in islice(facility_location(found), k)]
    best = max(covering(matrix, subset) for subset in combinations(range(n), k))
    assert covering(matrix, chosen) >= (1 - (1 - 1 / k) ** k) * best - 1e-5


@pytest.mark.parametrize("at_once", [1, 3, 64])
@pytest.mark.parametrize("seed", [0, 1])
def test_lazy_gains_choose_what_all_gains_would(seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facility, "MOST_AT_ONCE", at_once)
    monkeypatch.setattr(vectors, "BLOCK_NUMBERS", 500)
    found = points(seed, 120, 8)
    matrix = cosines(found)
    covered, order = np.zeros(120), []
    for one in facility_location(found):
        worth = np.maximum(np.maximum(matrix, 0) - covered, 0).sum(axis=1).round(4)
        worth[order] = -1
        # What is rounded may fall to either side.
        assert one.gain == pytest.approx(worth.max(), abs=1.1e-4)
        assert worth[one.place] == pytest.approx(worth.max(), abs=1.1e-4)
        covered = np.maximum(covered, matrix[one.place])
        order.append(one.place)
    assert sorted(order) == list(range(120))


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 9), st.integers(1, 4))
def test_k_center_is_within_twice_the_best_radius(seed: int, n: int, k: int) -> None:
    k = min(k, n - 1)
    found = points(seed, n)
    apart = np.sqrt(np.maximum(0, 2 - 2 * cosines(found)))
    *centers, farthest = list(islice(k_center(found), k + 1))
    radius = apart[:, [one.place for one in centers]].min(axis=1).max()
    best = min(apart[:, list(subset)].min(axis=1).max() for subset in combinations(range(n), k))
    assert radius <= 2 * best + 1e-3
    assert farthest.distance == pytest.approx(radius, abs=1e-3)


@settings(max_examples=20)
@given(SEEDS, st.floats(-0.5, 1.0))
def test_kept_rows_are_apart_and_each_dropped_one_has_its_like(seed: int, limit: float) -> None:
    found = points(seed, 40, 4)
    matrix = cosines(found)
    order = random.Random(seed).sample(range(40), 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "BLOCK", 7)
        patch.setattr(apart, "BLOCK_NUMBERS", 35)
        kept, alike = keep_apart(found, order, limit)
        first, _ = keep_apart(found, order, limit, count=5)
    expected: list[int] = []
    for place in order:  # one after another, all pairs
        if not any(matrix[place, other] >= limit - 1e-6 for other in expected):
            expected.append(place)
    assert kept == expected
    assert first == expected[:5]
    assert sorted([*kept, *alike]) == list(range(40))
    for place, like in alike.items():
        before = [one for one in kept if order.index(one) < order.index(place)]
        assert like.cosine == pytest.approx(max(matrix[place, one] for one in before), abs=1e-6)
        assert like.place in before


WORDS = ["oak", "river", "lamp", "stone", "wind", "copper", "seven", "blue"]


def some_rows(seed: int) -> list[Example]:
    rng = random.Random(seed)
    lineage = Lineage(paradigm="self", source="s", author="a")
    return [
        Example(
            id=f"r{rng.randrange(12)}",  # ids may come twice
            messages=(user(rng.choice(WORDS)), assistant(" ".join(rng.choices(WORDS, k=rng.randint(1, 4))))),
            lineage=lineage,
        )
        for _ in range(rng.randint(1, 20))
    ]


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 8))
def test_what_is_kept_does_not_depend_on_the_order_of_rows(seed: int, number: int) -> None:
    words = TfidfEmbedding(kind="tfidf")
    rows = some_rows(seed)
    shuffled = random.Random(seed + 1).sample(rows, len(rows))
    for made in (
        KCenter(amount=Amount(rows=number), embedding=words),
        FacilityLocation(amount=Amount(rows=number), embedding=words),
        SemanticDuplicates(cosine=0.8, embedding=words),
    ):
        first, second = made.apply(rows), made.apply(shuffled)
        assert len(first.kept) + len(first.dropped) == len(rows)
        assert sorted(row.to_json() for row in first.kept) == sorted(row.to_json() for row in second.kept)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 50), st.floats(0.01, 10)), min_size=1),
    st.one_of(st.none(), st.integers(1, 200)),
    st.booleans(),
)
def test_quotas_are_possible_and_in_shares(kinds: dict[str, tuple[int, float]], rows: int | None, fill: bool) -> None:
    there = {kind: number for kind, (number, _) in kinds.items()}
    total = sum(weight for _, weight in kinds.values())
    shares = {kind: weight / total for kind, (_, weight) in kinds.items()}
    found = quotas(there, shares, rows, fill=fill)
    assert found.keys() == there.keys()
    assert all(0 <= found[kind] <= there[kind] for kind in there)
    if rows is not None and fill:
        assert sum(found.values()) == min(rows, sum(there.values()))
    else:
        most = min(there[kind] / shares[kind] for kind in there)
        number = sum(found.values())
        assert all(abs(found[kind] - number * shares[kind]) < 1 + 1e-6 for kind in there)
        assert number >= min(math.floor(most), rows or math.inf)
        assert quotas(found, shares, rows, fill=False) == found
