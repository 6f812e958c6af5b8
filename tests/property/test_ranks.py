"""Spearman's rank correlation against scipy's, ties included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from tutelage.statistics.ranks import average_ranks, spearman

NUMBERS = st.integers(-3, 3) | st.floats(-1e6, 1e6)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30)


@given(PAIRS)
def test_the_correlation_is_scipys(pairs: list[tuple[float, float]]) -> None:
    one, other = [first for first, _ in pairs], [second for _, second in pairs]
    found = spearman(one, other)
    if len(set(one)) < 2 or len(set(other)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


@given(st.lists(NUMBERS, min_size=1))
def test_equal_numbers_share_the_mean_of_their_ranks(numbers: list[float]) -> None:
    assert average_ranks(numbers).tolist() == rankdata(numbers).tolist()


def test_a_pair_is_no_pair_without_its_other_half() -> None:
    with pytest.raises(ValueError, match=r"3 numbers and 2"):
        spearman([1, 2, 3], [1, 2])


def test_by_hand() -> None:
    """Ranks 1, 2.5, 2.5, 4 and 4, 2, 3, 1: covariance −4.5, sums of squares 4.5 and 5."""
    assert spearman([1, 2, 2, 9], [8, 3, 5, 1]) == pytest.approx(-4.5 / (4.5 * 5) ** 0.5)
