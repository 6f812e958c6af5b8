"""Agreement and consensus against published examples and the libraries that others use."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.errors import DataError
from tutelage.statistics import Metric, dawid_skene, krippendorff_alpha

krippendorff = pytest.importorskip("krippendorff")

# Krippendorff 2011, section C: four observers, twelve units, some ratings missing (0).
OBSERVERS = ["123321412000", "123322412503", "033323422510", "123324412510"]
UNITS = [[int(rating) for rating in unit if rating != "0"] for unit in zip(*OBSERVERS, strict=True)]

# Dawid and Skene 1979, table 1: seven grades a patient; the first anesthetist gave three, the four others one.
PATIENTS = (
    "111111133343341122122222312122232222223322122211133334332222223232222344444442223343111111122232121211111"
    "111211111111111111111222222122213222222222222222122232222212222111111111111112322222111111111111111121121"
    "111111133332331111111222222222232324334343221223223232333333432111111111111111212111232222212111112222222"
)
RATERS = ("a", "a", "a", "b", "c", "d", "e")


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_own_example(metric: Metric, alpha: float) -> None:
    found = krippendorff_alpha(UNITS, metric)
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert (found.n, found.pairable, found.left_out) == (11, 40, 1)
    assert found.interval is not None
    assert found.interval.low < alpha < found.interval.high


@pytest.mark.parametrize(
    ("first", "second", "alpha"),
    [("0100000010", "1110010000", 0.095), ("aabbdcccedda", "babbbcccedddd"[:12], 0.692)],
)
def test_krippendorffs_examples_of_two_observers(first: str, second: str, alpha: float) -> None:
    found = krippendorff_alpha(list(zip(first, second, strict=True)), "nominal")
    assert found.alpha == pytest.approx(alpha, abs=5e-4)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([None, 0, 1, 2, 5, 9]), min_size=3, max_size=3), min_size=2, max_size=12),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_alpha_is_the_packages(rows: list[list[int | None]], metric: Metric) -> None:
    units = [[value for value in row if value is not None] for row in rows]
    found = krippendorff_alpha(units, metric)
    matrix = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=float).T
    paired = {value for unit in units if len(unit) > 1 for value in unit}
    if len(paired) < 2:
        assert found.alpha is None
        assert found.reason
        return
    with np.errstate(invalid="ignore"):
        expected = krippendorff.alpha(reliability_data=matrix, level_of_measurement=metric)
    assert found.alpha == pytest.approx(expected, abs=1e-9)
    again = krippendorff_alpha([list(reversed(unit)) for unit in reversed(units)], metric)
    assert again.alpha == pytest.approx(found.alpha), "neither raters nor items have an order"


def test_alpha_of_words_in_order_and_of_nothing() -> None:
    words = [["low", "low"], ["mid", "high"], ["high", "high"]]
    numbers = [[0, 0], [1, 2], [2, 2]]
    order = ["low", "mid", "high"]
    assert krippendorff_alpha(words, "ordinal", order=order).alpha == krippendorff_alpha(numbers, "ordinal").alpha
    assert krippendorff_alpha([[1], []], "nominal").left_out == 2
    assert krippendorff_alpha([[1, 1], [1, 1]], "interval").alpha is None
    with pytest.raises(DataError, match="lacks values"):
        krippendorff_alpha(words, "ordinal", order=["low", "mid"])
    for metric in ("ordinal", "interval"):
        with pytest.raises(DataError, match="expected numbers"):
            krippendorff_alpha(words, metric)


def test_the_interval_covers_alpha_as_often_as_it_says() -> None:
    """90 % intervals over 80 draws: 72 are expected, and fewer than 62 would come in less than one case of 500."""
    draw = random.Random(5)

    def rows(count: int) -> list[list[int]]:
        truth = [draw.randrange(3) for _ in range(count)]
        return [[one if draw.random() < 0.7 else draw.randrange(3) for _ in range(3)] for one in truth]

    true = krippendorff_alpha(rows(20_000), "nominal").alpha
    assert true is not None
    bounds = [krippendorff_alpha(rows(60), "nominal", confidence=0.9).interval for _ in range(80)]
    assert sum(one is not None and one.low <= true <= one.high for one in bounds) >= 62


def anesthetists() -> list[tuple[str, str, str]]:
    return [
        (f"{number}", rater, grade)
        for number, start in enumerate(range(0, len(PATIENTS), len(RATERS)), start=1)
        for rater, grade in zip(RATERS, PATIENTS[start:], strict=False)
    ]


def test_the_anesthetists_of_dawid_and_skene() -> None:
    """Shares as their table 4 has them, to its two places; patient 3, on whom they disagree, is of grade 2."""
    found = dawid_skene(anesthetists(), classes="1234")
    assert found.shares == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=6e-3)
    assert found.converged
    assert found.best("3") == "2"
    assert [found.best(patient) for patient in ("1", "2", "8", "11", "36")] == ["1", "4", "3", "4", "4"]


# 40 items of three classes, four raters who are right in 90, 80, 60 and 40 % of the cases and else guess.
CROWD_SHARES = {"b": 0.23888368421849884, "c": 0.4077177351445023, "a": 0.35339858063699886}
CROWD_CHANCES = {"i17": {"b": 0, "c": 0.024373, "a": 0.975627}, "i31": {"b": 0, "c": 0.015148, "a": 0.984852}}
# (rater, what is true) → what was said
CROWD_TABLES = {
    ("w0", "a"): {"b": 0.1118756, "c": 0.1180067, "a": 0.7701177},
    ("w3", "c"): {"b": 0.1444359, "c": 0.6769553, "a": 0.1786088},
}


def test_the_values_of_crowd_kit() -> None:
    """What DawidSkene(n_iter=5000, tol=1e-13) of crowd-kit 1.4.2 gives for these; it clips chances at 1e-10."""
    draw = random.Random(11)
    truth = [draw.choice("abc") for _ in range(40)]
    ratings = [
        (f"i{item}", f"w{rater}", true if draw.random() < skill else draw.choice("abc"))
        for item, true in enumerate(truth)
        for rater, skill in enumerate((0.9, 0.8, 0.6, 0.4))
        if draw.random() < 0.8
    ]
    found = dawid_skene(ratings)
    at = {name: place for place, name in enumerate(found.classes)}
    for name, share in CROWD_SHARES.items():
        assert found.shares[at[name]] == pytest.approx(share, abs=1e-6)
    for item, chances in CROWD_CHANCES.items():
        for name, chance in chances.items():
            assert found.chances[item][at[name]] == pytest.approx(chance, abs=2e-6)
    for (rater, true), said in CROWD_TABLES.items():
        row = found.tables[rater][at[true]]
        assert row is not None
        for name, chance in said.items():
            assert row[at[name]] == pytest.approx(chance, abs=1e-6)


Ratings = list[tuple[str, str, str]]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ijklm"), st.sampled_from("rst"), st.sampled_from("xyz")), min_size=1, max_size=40
    )
)
def test_every_round_is_at_least_as_likely(ratings: Ratings) -> None:
    found = dawid_skene(ratings, max_rounds=300)
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(found.history))
    assert sum(found.shares) == pytest.approx(1)
    for chances in found.chances.values():
        assert sum(chances) == pytest.approx(1)


def test_a_skilled_rater_outweighs_two_who_guess() -> None:
    draw = random.Random(2)
    truth = {f"i{n}": draw.choice("ab") for n in range(200)}
    ratings = []
    for item, true in truth.items():
        ratings += [(item, f"good{n}", true if draw.random() < 0.95 else draw.choice("ab")) for n in range(2)]
        ratings += [(item, f"guess{n}", draw.choice("ab")) for n in range(3)]
    found = dawid_skene(ratings)
    right = sum(found.best(item) == true for item, true in truth.items())
    votes = sum(
        max("ab", key=[said for name, _, said in ratings if name == item].count) == true for item, true in truth.items()
    )
    assert right > votes
    assert found.skill("good0") > 0.9
    assert abs(found.skill("guess0") - 0.5) < 0.15


def test_nothing_to_estimate_from() -> None:
    with pytest.raises(DataError, match="no ratings"):
        dawid_skene([])
    with pytest.raises(DataError, match="no such class"):
        dawid_skene([("i", "r", "z")], classes="ab")
    assert dawid_skene([("i", "r", "a")], classes="ab").shares == (1.0, 0.0)
