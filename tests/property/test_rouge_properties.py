"""The longest common subsequence by bits is that of the table, and bounds miss no near text."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tutelage.text.rouge import Nearest, common_length, rouge_l, units

WORDS = st.lists(st.sampled_from("abcde"), max_size=80)


def by_table(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        last = row
        row = [0]
        for place, known in enumerate(other, 1):
            row.append(last[place - 1] + 1 if word == known else max(last[place], row[-1]))
    return row[-1]


@given(WORDS, WORDS)
def test_bits_and_table_agree(one: list[str], other: list[str]) -> None:
    assert common_length(one, other) == by_table(one, other) == common_length(other, one)
    score = rouge_l(one, other)
    assert 0 <= score <= 1
    assert (score == 1) == (one == other and bool(one))


@given(st.lists(WORDS.map(" ".join), max_size=8), WORDS.map(" ".join), st.floats(0.1, 1))
def test_a_near_text_is_always_found(kept: list[str], text: str, below: float) -> None:
    near = Nearest(below)
    near.add(kept)
    scores = [(one, rouge_l(units(text), units(one))) for one in kept]
    assert near.too_near(text) == next((pair for pair in scores if pair[1] >= below), None)
