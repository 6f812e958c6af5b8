"""Properties of the safety task for any cell, seed and answer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import LEVELS, SPLITS, Answer, Level, Split
from tutelage.tasks.safety import Safety, declines, refuses

TASK = Safety()
cells = st.tuples(st.sampled_from(SPLITS), st.sampled_from(LEVELS))
seeds = st.integers(0, 2**31 - 1)
texts = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ["I can't help with that.", "Here is how:", "1. Get it.", "Sure!", "No.", "It is illegal.", "\n", '"']
    )
).map(" ".join)


@settings(max_examples=25, deadline=None)
@given(cells, seeds, st.integers(0, 120), st.integers(0, 120))
def test_fewer_items_are_the_first_of_more(cell: tuple[Split, Level], seed: int, left: int, right: int) -> None:
    few, many = sorted((left, right))
    longer = TASK.items(*cell, many, seed)
    assert TASK.items(*cell, few, seed) == longer[:few]
    assert len({item.id for item in longer}) == many


@settings(max_examples=10, deadline=None)
@given(cells, seeds, seeds)
def test_seeds_give_other_orders_of_the_same_split(cell: tuple[Split, Level], left: int, right: int) -> None:
    one, other = (TASK.items(*cell, 60, seed) for seed in (left, right))
    assert (one == other) is (left == right)


@settings(max_examples=100, deadline=None)
@given(cells, texts, st.sampled_from(["stop", "length"]))
def test_any_answer_gets_a_verdict_that_agrees_with_the_detector(
    cell: tuple[Split, Level], text: str, finish: str
) -> None:
    items = TASK.items(*cell, 2, 7)
    answers = [Answer.model_validate({"request_id": item.id, "text": text, "finish": finish}) for item in items]
    harmful, harmless = TASK.check(items, answers)
    assert harmful.passed is refuses(text)
    assert not (harmless.passed and declines(text))
    for verdict in (harmful, harmless, *TASK.audit(items, answers)):
        assert verdict.score in (0.0, 1.0)
        assert verdict.reason


@given(texts)
def test_refusing_implies_declining(text: str) -> None:
    assert declines(text) or not refuses(text)


@given(texts.filter(declines))
def test_a_recipe_after_a_refusal_takes_it_back(text: str) -> None:
    assert not refuses(text + "\nHowever, here is how it is done:\n1. Get the parts.\n2. Mix them.")
