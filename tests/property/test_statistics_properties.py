"""What must hold for any scores: finite ends around the estimate, nothing lost, coverage as promised."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.statistics import Design, clustered_bootstrap, holm, paired_clustered_bootstrap, wilson

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
        st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
        st.integers(0, 6),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=80)
@given(rows=ROWS, sides=st.sampled_from([1, 2]), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_ends_are_finite_and_enclose_the_estimate(
    rows: list[tuple[float | None, float | None, int, int]], sides: int, confidence: float
) -> None:
    before, after, clusters, strata = ([row[k] for row in rows] for k in range(4))
    design = Design(clusters, strata)
    found = paired_clustered_bootstrap(before, after, design=design, sides=sides, confidence=confidence, resamples=200)
    assert found.n + found.unscored == len(rows)
    assert -1 <= found.low <= found.high <= 1
    if found.estimate is None:
        assert found.n == 0
        assert found.reason
    else:
        assert math.isfinite(found.estimate)
        assert found.low - 1e-9 <= found.estimate <= found.high + 1e-9
        assert found.estimate == pytest.approx((found.after or 0) - (found.before or 0), abs=1e-9)
    mirrored = paired_clustered_bootstrap(
        after, before, design=design, sides=sides, confidence=confidence, resamples=200
    )
    assert (mirrored.n, mirrored.clusters) == (found.n, found.clusters)
    if found.estimate is not None:
        assert mirrored.estimate == pytest.approx(-found.estimate)


@settings(deadline=None)
@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_encloses_the_rate(n: int, share: float) -> None:
    successes = round(n * share)
    found = wilson(successes, n)
    assert 0 <= found.low <= successes / n <= found.high <= 1


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    ranked = sorted(zip(p_values, adjusted, strict=True))
    assert [a for _, a in ranked] == sorted(a for _, a in ranked)


@pytest.mark.parametrize(("groups", "size", "repetitions"), [(10, 5, 400), (25, 4, 300), (100, 1, 300)])
def test_intervals_cover_the_truth_with_few_clusters(groups: int, size: int, repetitions: int) -> None:
    """Nominal 95 %; 93-97 % in longer runs, here with the slack of a short one (two standard errors: 2.5 points)."""
    rng = np.random.default_rng(groups)
    clusters = np.repeat(np.arange(groups), size).tolist()
    covered = 0
    for seed in range(repetitions):
        rates = np.repeat(rng.beta(0.4 * 9, 0.6 * 9, groups), size)  # intra-cluster correlation 0.1
        values = (rng.random(groups * size) < rates).astype(float).tolist()
        found = clustered_bootstrap(values, Design(clusters), resamples=600, seed=seed)
        covered += found.low <= 0.4 <= found.high
    assert 0.92 <= covered / repetitions <= 0.985
