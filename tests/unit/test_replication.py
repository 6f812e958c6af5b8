"""The mean over seeds against values computed by hand."""

import math
from collections.abc import Sequence

import pytest

from tutelage.errors import TutelageError
from tutelage.statistics import (
    Design,
    Replicate,
    hierarchical_bootstrap,
    paired_clustered_bootstrap,
)


def singles(values: Sequence[float | None], names: Sequence[str]) -> Replicate:
    return Replicate([0.0] * len(values), values, Design(names))


def test_without_variation_inside_seeds_the_ends_are_those_of_27_draws_of_three_seeds() -> None:
    """Means of three draws of .1, .2, .6: .1 once in 27, .1333 three times, ..., .4667 three times, .6 once."""
    seeds = {n: singles([value] * 4, [f"{n}{i}" for i in range(4)]) for n, value in enumerate((0.1, 0.2, 0.6))}
    wide = hierarchical_bootstrap(seeds, bounds=None)
    assert (wide.low, wide.high) == (pytest.approx(0.1), pytest.approx(0.6)), "1 of 27 is more than 2.5 %"
    narrow = hierarchical_bootstrap(seeds, bounds=None, confidence=0.8)
    assert (narrow.low, narrow.high) == (pytest.approx(0.4 / 3), pytest.approx(1.4 / 3))
    assert wide.estimate == pytest.approx(0.3)
    assert wide.least == pytest.approx(0.1)
    assert wide.deviation == pytest.approx(math.sqrt(0.07))
    reach = 4.30265273 * math.sqrt(0.07 / 3)  # t of 2 degrees at .975
    assert (wide.t_low, wide.t_high) == (pytest.approx(0.3 - reach), pytest.approx(0.3 + reach))
    assert hierarchical_bootstrap(seeds).t_low == pytest.approx(0.3 - reach)
    assert hierarchical_bootstrap(seeds, bounds=(0.0, 0.9)).t_high == 0.9


def test_clusters_of_their_own_are_drawn_for_each_drawn_seed() -> None:
    """G − 1 = 1 of 2 clusters: both draws are any of 0, 1, .2, .4, so the mean has variance .14 / 2."""
    found = hierarchical_bootstrap(
        {0: singles([0.0, 1.0], ["a", "b"]), 1: singles([0.2, 0.4], ["c", "d"])}, resamples=200_000
    )
    assert found.error == pytest.approx(math.sqrt(0.07), rel=0.01)
    assert found.below_zero == pytest.approx(1 / 32, abs=0.002)
    assert (found.estimate, found.n, found.clusters) == (pytest.approx(0.4), 4, 4)


def test_clusters_that_seeds_share_are_drawn_once_for_all() -> None:
    """Of a, means of two of {0, .2}: .1 ± variance .005; of b, two of {1, .4}: .7, .045; between them .09."""
    found = hierarchical_bootstrap(
        {0: singles([0.0, 1.0], ["a", "b"]), 1: singles([0.2, 0.4], ["a", "b"])}, resamples=200_000
    )
    assert found.error == pytest.approx(math.sqrt(0.115), rel=0.01)
    assert found.below_zero == pytest.approx(1 / 16, abs=0.002), "a, and twice its seed: 1 of 8, half of it"
    assert (found.n, found.clusters) == (4, 2)


def test_equal_seeds_are_one_seed() -> None:
    before = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    after = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    design = Design([i // 2 for i in range(10)], ["x"] * 6 + ["y"] * 4, {"x": 0.5, "y": 1.0})
    plain = paired_clustered_bootstrap(before, after, design=design)
    found = hierarchical_bootstrap({seed: Replicate(before, after, design) for seed in range(3)})
    assert plain.estimate is not None
    assert found.estimate == pytest.approx((0.5 * 2 / 6 + 1.0 * 2 / 4) / 1.5)
    assert found.estimate == pytest.approx(plain.estimate)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert (found.t_low, found.t_high) == (found.estimate, found.estimate)
    assert (found.least, found.deviation, found.n) == (found.estimate, 0.0, 30)


def test_a_seed_counts_once_however_many_items_it_has() -> None:
    found = hierarchical_bootstrap({0: singles([1.0] * 30, list("ab") * 15), 1: singles([0.0] * 2, ["c", "d"])})
    assert found.estimate == 0.5


def test_a_seed_counts_once_however_many_strata_it_has() -> None:
    """A drawn seed is one of 0, 1, or the mean of two of {.2, .4}: mean .4, squares .5 × .5 + .5 × .095."""
    two = Replicate([0.0] * 4, [0.2, 0.4, 0.2, 0.4], Design(list("cdef"), list("xxyy")))
    found = hierarchical_bootstrap({0: singles([0.0, 1.0], ["a", "b"]), 1: two}, resamples=200_000)
    assert found.error == pytest.approx(math.sqrt((0.25 + 0.0475 - 0.16) / 2), rel=0.01)


def test_pairs_without_a_score_are_left_out_and_a_seed_without_pairs_is_named() -> None:
    whole = Replicate([0.0, None, 0.0], [1.0, 1.0, None], Design(["a", "b", "c"]))
    found = hierarchical_bootstrap({4: whole, 5: whole})
    assert (found.estimate, found.n, found.unscored) == (1.0, 2, 4)
    empty = Replicate([None], [1.0], Design(["a"]))
    found = hierarchical_bootstrap({4: whole, 5: empty})
    assert (found.estimate, found.low, found.high) == (None, -1.0, 1.0)
    assert found.by_seed == {4: 1.0, 5: None}
    assert found.reason == "no pair has both scores in seed 5"


def test_the_bootstrap_refuses_what_is_no_replication() -> None:
    one = singles([1.0], ["a"])
    with pytest.raises(TutelageError, match=r"at least two \(received 1\)"):
        hierarchical_bootstrap({0: one})
    with pytest.raises(TutelageError, match=r"seed 1: paired scores must be of the same items \(received 2 and 1"):
        hierarchical_bootstrap({0: one, 1: Replicate([0.0, 1.0], [1.0], Design(["a", "b"]))})
    with pytest.raises(TutelageError, match="not finite or not in"):
        hierarchical_bootstrap({0: one, 1: singles([2.0], ["a"])})
    with pytest.raises(TutelageError, match="every item needs one cluster"):
        hierarchical_bootstrap({0: one, 1: Replicate([0.0, 1.0], [1.0, 1.0], Design(["a"]))})
