"""What must hold for any scores under any seeds, and how often the intervals cover what is true."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.statistics import Design, Replicate, hierarchical_bootstrap, stratified_mean

SCORE = st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1))
ROWS = st.lists(st.tuples(SCORE, SCORE, st.integers(0, 4), st.integers(0, 2)), max_size=12)


def replicate_of(rows: list[tuple[float | None, float | None, int, int]]) -> Replicate:
    design = Design([row[2] for row in rows], [row[3] for row in rows])
    return Replicate([row[0] for row in rows], [row[1] for row in rows], design)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 99), ROWS, min_size=2, max_size=4))
def test_ends_enclose_the_mean_of_the_seeds_and_lie_on_the_scale(seeds: dict[int, list]) -> None:  # type: ignore[type-arg]
    given_ = {number: replicate_of(rows) for number, rows in seeds.items()}
    found = hierarchical_bootstrap(given_, resamples=50)
    assert found.by_seed == {n: stratified_mean(one.changes, one.design) for n, one in sorted(given_.items())}
    assert found.n + found.unscored == sum(map(len, seeds.values())) or found.estimate is None
    assert -1 <= found.low <= found.high <= 1
    if found.estimate is None:
        assert "no pair has both scores in seed" in found.reason
        return
    assert found.estimate == pytest.approx(np.mean(list(found.by_seed.values())))
    assert found.low - 1e-9 <= found.estimate <= found.high + 1e-9
    assert found.least is not None
    assert found.t_low is not None
    assert found.t_high is not None
    assert found.least <= found.estimate + 1e-9
    assert -1 <= found.t_low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.t_high <= 1


@settings(max_examples=20, deadline=None)
@given(st.permutations([3, 0, 7, 1]), st.integers(0, 2**20))
def test_the_order_of_the_seeds_changes_nothing(order: list[int], luck: int) -> None:
    rng = np.random.default_rng(luck)
    made = {n: Replicate([0.0] * 12, rng.random(12).tolist(), Design([i % 4 for i in range(12)])) for n in (0, 1, 3, 7)}
    one = hierarchical_bootstrap(made, resamples=200, seed=5)
    other = hierarchical_bootstrap({number: made[number] for number in order}, resamples=200, seed=5)
    assert other == one
    assert list(other.by_seed) == [0, 1, 3, 7]


def coverage(*, over_seeds: float, over_clusters: float, shared: bool, named: bool) -> tuple[float, float]:
    """Share of 200 data sets (3 seeds, 20 clusters of 3 items) whose intervals cover the true mean, 0.

    ``shared``: the seeds have the same clusters; ``named``: and the bootstrap is told so.
    """
    rng = np.random.default_rng(11)
    hits, t_hits = 0, 0
    at = np.repeat(np.arange(20), 3)
    for repetition in range(200):
        common = rng.normal(0, over_clusters, 20)
        data = {}
        for seed in range(3):
            effect = common if shared else rng.normal(0, over_clusters, 20)
            changes = rng.normal(0, over_seeds) + effect[at] + rng.normal(0, 0.4, 60)
            names = [(0 if named else seed, int(cluster)) for cluster in at]
            data[seed] = Replicate([0.0] * 60, changes.tolist(), Design(names))
        found = hierarchical_bootstrap(data, bounds=None, resamples=300, seed=repetition)
        assert found.t_low is not None
        assert found.t_high is not None
        hits += found.low <= 0 <= found.high
        t_hits += found.t_low <= 0 <= found.t_high
    return hits / 200, t_hits / 200


def test_three_seeds_that_differ_as_items_do_are_covered() -> None:
    percentile, t = coverage(over_seeds=0.05, over_clusters=0.15, shared=False, named=False)
    assert percentile >= 0.92
    assert t >= 0.9


def test_shared_clusters_are_covered_only_when_they_are_drawn_together() -> None:
    together, t = coverage(over_seeds=0.02, over_clusters=0.5, shared=True, named=True)
    apart, _ = coverage(over_seeds=0.02, over_clusters=0.5, shared=True, named=False)
    assert together >= 0.92
    assert apart < 0.85, "as if each seed brought sources of its own"
    assert t < 0.8, "seeds that share their sources agree more than they know"


def test_three_seeds_far_apart_need_the_t_interval() -> None:
    percentile, t = coverage(over_seeds=0.5, over_clusters=0.1, shared=False, named=False)
    assert percentile < 0.85, "what the documentation warns of"
    assert t >= 0.9
