"""What ordering would ask for is told before: who is asked, how often, and what a judge takes over."""

import pytest

from tutelage.pipeline.judged import JudgingEstimate, Load, estimate_judging
from tutelage.pipeline.ordered import ANSWERED_SHARE, MATCHING_SHARE, WRITTEN_SHARE, Ordering, ordering_of
from tutelage.pipeline.supplies import supplies_of
from tutelage.recipe import Recipe, parse_recipe
from tutelage.recipe.sources import InstructionsSource


def recipe(judge: str = "", **keys: object) -> Recipe:
    text = "name: mine\nrounds: 3\ntasks:\n  - {kind: constraints}\nconstruct:\n  sources: [{kind: instructions}]\n"
    return parse_recipe(text + judge, overrides=[f"construct.sources.0.{key}={value}" for key, value in keys.items()])


def ordering(judge: str = "", **keys: object) -> Ordering:
    made = recipe(judge, **keys)
    (source,) = made.construct.sources
    assert isinstance(source, InstructionsSource)
    return ordering_of(source, made)


JUDGE = "  judge: {by: {kind: self}}\n"
CAME = WRITTEN_SHARE * MATCHING_SHARE * ANSWERED_SHARE


def test_orders_readings_and_answers_are_counted_over_all_rounds() -> None:
    found = ordering(rows=100, passes=0, retries=0, samples=3)
    requests, readings, answers = (one.answers for one in found.asked)
    assert (requests, readings, answers) == (300, 240, 3 * round(100 * WRITTEN_SHARE * MATCHING_SHARE * 3))
    assert found.rows == pytest.approx(100 * CAME)
    assert found.beside is None
    assert "orders for 100 conversations a round with up to 3 expert requests each" in found.shown


def test_what_is_ordered_again_gone_on_with_and_thought_of_costs_more() -> None:
    plain = ordering(rows=100, passes=0, retries=0)
    again = ordering(rows=100, passes=1, retries=0)
    assert again.asked[0].answers == round(100 * (2 - CAME)) * 3
    assert again.rows == pytest.approx(100 * CAME * (2 - CAME))
    turns = ordering(rows=100, passes=0, retries=0, turns=2, personas=20)
    assert len(turns.asked) == len(plain.asked) + 3
    assert turns.asked[-1].answers == 3 * 3, "three handfuls of personas a round"
    assert turns.row_tokens > plain.row_tokens


def test_a_judge_takes_over_the_reading() -> None:
    alone, judged = ordering(), ordering(JUDGE)
    assert len(judged.asked) == len(alone.asked) - 1
    assert judged.beside is not None
    assert judged.beside.read > 0
    own = ordering(JUDGE, assessor="teacher")
    assert own.beside is not None
    assert own.beside.read == 0
    assert len(own.asked) == len(alone.asked)


def judging(made: Recipe) -> JudgingEstimate:
    beside = tuple(supply.beside for supply in supplies_of(made) if supply.beside is not None)
    nothing = Load(for_teacher=0, for_lessons=0, failing=0, row_tokens=0, answer_tokens=0, rounds=3, beside=beside)
    found = estimate_judging(made, {}, nothing)
    assert found is not None
    return found


def test_what_the_judge_gets_of_it_is_in_its_estimate() -> None:
    found = judging(recipe(JUDGE, rows=100, passes=0, samples=3))
    answered, read = round(100 * WRITTEN_SHARE * MATCHING_SHARE * 3), round(100 * WRITTEN_SHARE)
    assert found.answers == 3 * (answered + read)
    assert found.what == f"a round: {answered} times about ordered answers and {read} requests to read"
    assert found.completion_tokens > 0
    pairs = judging(
        recipe(JUDGE.replace("}}", "}, best_of: pairwise, unchecked: false}"), rows=100, passes=0, samples=3)
    )
    assert pairs.answers == 3 * (2 * answered + read), "each two of three answers, both ways, are six"
