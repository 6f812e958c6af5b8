"""Prompts of a round are the next of a circle, and a revision that changes nothing is always found."""

from hypothesis import given
from hypothesis import strategies as st

from support.revising import PRINCIPLES
from tutelage.construct.constitution.checks import fault
from tutelage.construct.constitution.principles import draw, parse_principles
from tutelage.construct.given import of_round

(KIND, EXACT) = parse_principles(PRINCIPLES, "two.yaml")


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**31 - 1))
def test_rounds_go_through_all_before_any_comes_again(number: int, most: int, seed: int) -> None:
    entries = list(range(number))
    rounds = [of_round(entries, most, round=round, seed=seed) for round in range(1, 8)]
    assert all(len(set(one)) == len(one) == min(most, number) for one in rounds)
    together = [entry for one in rounds for entry in one]
    for begin in range(0, len(together) - number + 1, number):
        assert sorted(together[begin : begin + number]) == entries


@given(st.integers(0, 2), st.integers(0, 2**31 - 1), st.text(max_size=20))
def test_principles_of_an_item_differ(number: int, seed: int, item: str) -> None:
    drawn = draw((KIND, EXACT), number, seed=seed, item=item)
    assert len({one.id for one in drawn}) == len(drawn) == number
    assert drawn == draw((KIND, EXACT), number, seed=seed, item=item)


@given(st.text(max_size=200), st.sampled_from(["", " ", "\n"]))
def test_what_changes_nothing_is_found_and_words_of_the_prompt_are_no_trace(text: str, space: str) -> None:
    assert "changes nothing" in fault(f"{text}{space}", before=text, prompt="Say it.", principle=KIND)
    said = "I have revised the first answer by that principle."
    assert not fault(f"{text} {said}", before="Other.", prompt=f"{text} {said}", principle=KIND)
