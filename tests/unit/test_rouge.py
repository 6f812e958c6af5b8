"""ROUGE-L against values by hand, and the nearest of many against every pair."""

import pytest

from tutelage.text.rouge import Nearest, common_length, rouge_l, units


@pytest.mark.parametrize(
    ("one", "other", "length", "score"),
    [
        ("police killed the gunman", "police kill the gunman", 3, 0.75),
        ("police killed the gunman", "the gunman kill police", 2, 0.5),  # both of Lin 2004
        ("a b c d e", "a x c y e z", 3, 6 / 11),
        ("a a b", "a b b", 2, 2 / 3),
        ("", "a", 0, 0.0),
        ("今天天气很好", "今天的天气好", 5, 10 / 12),
    ],
)
def test_values_by_hand(one: str, other: str, length: int, score: float) -> None:
    assert common_length(units(one), units(other)) == length
    assert rouge_l(units(one), units(other)) == pytest.approx(score)


def test_units_are_words_and_characters_of_scripts_without_spaces() -> None:
    assert units("Say: «Hello», 3 times!") == ["say", "hello", "3", "times"]
    assert units("GPT 用于写作") == ["gpt", "用", "于", "写", "作"]


def test_the_first_that_is_too_near_is_named() -> None:
    near = Nearest(0.7)
    near.add(["Write a poem about the sea.", "How do I boil an egg?"])
    found = near.too_near("How do I boil one egg?")
    assert found is not None
    assert (found[0], round(found[1], 3)) == ("How do I boil an egg?", 0.833)
    assert near.too_near("Who has the key of the cellar?") is None
    assert near.too_near("?!") is None
