"""Intervals, bootstrap, paired tests and power against references and hand values."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, t

from tutelage.errors import TutelageError
from tutelage.statistics import (
    Design,
    Interval,
    clustered_bootstrap,
    design_effect,
    detectable_difference,
    effective_items,
    holm,
    items_to_decide,
    mcnemar_exact,
    needed_items,
    paired_clustered_bootstrap,
    power_of,
    stratified_mean,
    wilson,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 20), (1, 20), (7, 20), (20, 20), (13, 60), (500, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_is_scipys(successes: int, n: int, confidence: float) -> None:
    reference = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    found = wilson(successes, n, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_wilson_of_nothing_is_everything_and_nonsense_is_refused() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    with pytest.raises(TutelageError, match="received 3 of 2"):
        wilson(3, 2)
    with pytest.raises(TutelageError, match="between 0 and 1"):
        wilson(1, 2, confidence=95)
    with pytest.raises(TutelageError, match=r"above 0\.5"):
        clustered_bootstrap([0.0, 1.0], Design("ab"), confidence=0.4, sides=1)


def test_bootstrap_error_is_the_textbook_one_for_equal_clusters() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(0.5, 0.1, size=40).clip(0, 1)
    values = [float(mean) for mean in means for _ in range(3)]
    found = clustered_bootstrap(values, Design([cluster for cluster in range(40) for _ in range(3)]))
    error = float(np.std(means, ddof=1)) / math.sqrt(40)
    half = float(t.isf(0.025, 39)) * error
    assert found.value == pytest.approx(means.mean())
    assert found.error == pytest.approx(error)
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half), abs=0.15 * half)
    assert (found.n, found.clusters, found.unscored, found.reason) == (120, 40, 0, "")


def test_unequal_clusters_and_strata_give_the_ratio_estimators_error() -> None:
    values = [1, 0, 0, 1, 1, 1, 0, 1, 0, 0]
    clusters = ["a", "a", "a", "b", "b", "c", "d", "d", "e", "e"]
    strata = ["x"] * 6 + ["y"] * 4
    # x: mean 4/6, residual sums a −1, b 2/3, c 1/3; y: mean 1/4, residual sums d 1/2, e −1/2.
    variance_x = 3 / 2 * (1 + 4 / 9 + 1 / 9) / 36
    variance_y = 2 / 1 * (1 / 4 + 1 / 4) / 16
    found = clustered_bootstrap(values, Design(clusters, strata))
    assert found.value == pytest.approx((4 / 6 + 1 / 4) / 2)
    assert found.error == pytest.approx(math.sqrt((variance_x + variance_y) / 4))
    weighted = Design(clusters, strata, {"x": 3.0, "y": 1.0})
    assert stratified_mean(values, weighted) == pytest.approx(0.75 * 4 / 6 + 0.25 / 4)


def test_strata_that_share_clusters_are_drawn_together() -> None:
    # Each cluster is all right or all wrong at both levels: 20 clusters are worth 20 observations, not 40.
    right = [float(cluster % 2) for cluster in range(20)]
    shared = clustered_bootstrap(right * 2, Design([*range(20), *range(20)], ["a"] * 20 + ["b"] * 20))
    apart = clustered_bootstrap(right * 2, Design(range(40), ["a"] * 20 + ["b"] * 20))
    assert shared.clusters == 20
    assert shared.error == pytest.approx(math.sqrt(2) * (apart.error or 0))


def test_strata_linked_by_a_chain_of_clusters_are_one_block() -> None:
    clusters, strata = list("abbccddee"), list("xxyyzzyzx")
    values = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    influence = dict.fromkeys("abcde", 0.0)
    for cluster, stratum, value in zip(clusters, strata, values, strict=True):
        inside = [v for v, s in zip(values, strata, strict=True) if s == stratum]
        influence[cluster] += (value - sum(inside) / len(inside)) / len(inside) / 3
    expected = math.sqrt(5 / 4 * sum(part**2 for part in influence.values()))
    assert clustered_bootstrap(values, Design(clusters, strata)).error == pytest.approx(expected)


def test_one_cluster_fewer_than_there_are_is_drawn() -> None:
    """Of two clusters one is drawn: half of the resamples are the negative one, and none is their mean."""
    found = clustered_bootstrap([-0.1, 0.5], Design("ab"), bounds=None)
    assert found.below_zero == pytest.approx(0.5, abs=0.03)


def test_one_sided_bounds_are_those_of_a_two_sided_interval_with_twice_the_error() -> None:
    values = [float(v) for v in np.random.default_rng(1).random(50)]
    one = clustered_bootstrap(values, Design(range(50)), confidence=0.95, sides=1)
    two = clustered_bootstrap(values, Design(range(50)), confidence=0.90, sides=2)
    assert (one.low, one.high) == pytest.approx((two.low, two.high))


def test_degenerate_inputs_have_a_stated_result() -> None:
    nothing = clustered_bootstrap([None, None], Design("ab"))
    assert (nothing.value, nothing.low, nothing.high, nothing.unscored) == (None, 0.0, 1.0, 2)
    assert nothing.reason == "no item has a score"
    empty = paired_clustered_bootstrap([], [], design=Design([]))
    assert (empty.estimate, empty.low, empty.high, empty.before, empty.n) == (None, -1.0, 1.0, None, 0)
    lone = clustered_bootstrap([0.0, 1.0], Design("aa"))
    assert (lone.value, lone.low, lone.high, lone.error) == (0.5, 0.0, 1.0, None)
    assert "one cluster" in lone.reason
    equal = clustered_bootstrap([0.0] * 30, Design(range(30)))
    assert (equal.value, equal.low, equal.error) == (0.0, 0.0, 0.0)
    assert equal.high == pytest.approx(binomtest(0, 30).proportion_ci(0.95, method="exact").high)
    unbounded = paired_clustered_bootstrap([2.0] * 5, [2.5] * 5, design=Design(range(5)), bounds=None)
    assert (unbounded.estimate, unbounded.low, unbounded.high) == (0.5, 0.5, 0.5)


def test_single_cluster_strata_vary_as_the_others_do_or_are_drawn_themselves() -> None:
    values = [1.0, 0.0, 1.0, 0.0, 1.0]
    mixed = clustered_bootstrap(values, Design("abcde", ["x"] * 4 + ["y"]))
    alone = clustered_bootstrap(values[:4], Design("abcd"))
    assert mixed.error == pytest.approx((alone.error or 0) / 2 * math.sqrt(2))
    assert "1 of 2 strata" in mixed.reason
    strata = clustered_bootstrap([1.0, 0.0, 1.0, 1.0], Design("abcd", "wxyz"))
    assert strata.error == pytest.approx(np.std([1, 0, 1, 1], ddof=1) / 2)
    assert "the strata themselves" in strata.reason


def test_pairs_without_both_scores_are_left_out_on_both_sides() -> None:
    found = paired_clustered_bootstrap([1, None, 0, 0], [1, 1, None, 1], design=Design("abcd"))
    assert (found.before, found.after, found.estimate, found.n, found.unscored) == (0.5, 1.0, 0.5, 2, 2)


def test_every_fault_of_the_input_is_named_at_once() -> None:
    with pytest.raises(TutelageError) as caught:
        clustered_bootstrap([0.5, float("nan")], Design("a", "xyz", {"x": 1.0, "y": 0.0}))
    assert all(word in str(caught.value) for word in ("clusters", "strata", "nan", "weight"))
    with pytest.raises(TutelageError, match="same items"):
        paired_clustered_bootstrap([1], [1, 0], design=Design("a"))


def test_equal_arguments_give_equal_results_and_another_seed_nearly_so() -> None:
    values = [float(v) for v in np.random.default_rng(2).integers(0, 2, 200)]
    first, again, other = (clustered_bootstrap(values, Design(range(200)), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert other.low == pytest.approx(first.low, abs=0.005)


def test_mcnemar_is_the_sign_test_on_the_changed_pairs() -> None:
    before = [True] * 2 + [False] * 9 + [True] * 5 + [None]
    after = [False] * 2 + [True] * 9 + [True] * 6
    found = mcnemar_exact(before, after)
    # 2 of 11 changed pairs: 2 × (1 + 11 + 55) / 2048.
    assert (found.only_before, found.only_after, found.n, found.unscored) == (2, 9, 16, 1)
    assert found.p == pytest.approx(134 / 2048)
    assert mcnemar_exact([True], [True]).p == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    with pytest.raises(TutelageError, match="p-value"):
        holm([1.5])


def test_needed_items_by_hand_and_back() -> None:
    # Connor 1987: (1.959964·√.3 + .841621·√(.3 − .01))² / .01 = 233.03
    assert needed_items(0.1) == 234
    assert needed_items(0.1, design_effect=2.0) == 467
    assert needed_items(0.4) is None
    found = detectable_difference(234)
    assert found == pytest.approx(0.1, abs=2e-4)
    assert power_of(found or 0, 234) == pytest.approx(0.8, abs=1e-4)
    assert detectable_difference(5) is None
    assert detectable_difference(0) is None


def test_power_is_what_a_simulation_finds() -> None:
    rng = np.random.default_rng(3)
    n, difference, hits = 120, detectable_difference(120) or 0, 0
    up, down = (0.3 + difference) / 2, (0.3 - difference) / 2
    for seed in range(200):
        draw = rng.random(n)
        change = np.where(draw < up, 1.0, np.where(draw < up + down, -1.0, 0.0)).tolist()
        found = paired_clustered_bootstrap([0.0] * n, change, design=Design(range(n)), resamples=1000, seed=seed)
        hits += found.low > 0
    assert hits / 200 == pytest.approx(0.8, abs=0.085)


def test_design_effect_effective_items_and_items_to_decide() -> None:
    assert design_effect([1] * 50, 0.5) == 1.0
    assert design_effect([5] * 10, 0.1) == pytest.approx(1.4)
    assert design_effect([1, 9], 0.1) == pytest.approx(1 + 7.2 * 0.1)
    assert design_effect([], 0.1) == 1.0
    assert effective_items([100, 100]) == pytest.approx(200)
    assert effective_items([100, 25]) == pytest.approx(4 / (1 / 100 + 1 / 25))
    # (1.959964 + .841621)² × .04² / .05² × 400 = 2009.3
    assert items_to_decide(400, distance=0.05, error=0.04) == 2010
    assert items_to_decide(400, distance=-0.01, error=0.04) is None
