"""What self-improvement would ask for is told before: who is asked, how often, and what a judge takes over."""

import pytest

from tutelage.pipeline.improved import (
    GAINED_SHARE,
    INSTANCE_SHARE,
    NEW_SHARE,
    READ_SHARE,
    evolve_of,
    self_instruct_of,
)
from tutelage.pipeline.judged import Load, estimate_judging, with_the_judge
from tutelage.pipeline.supplies import supplies_of
from tutelage.recipe import Recipe, parse_recipe
from tutelage.recipe.sources import EvolveSource, SelfInstructSource

JUDGE = "  judge: {by: {kind: self}}\n"


def recipe(kind: str, judge: str = "", **keys: object) -> Recipe:
    text = f"name: mine\nrounds: 3\ntasks:\n  - {{kind: constraints}}\nconstruct:\n  sources: [{{kind: {kind}}}]\n"
    return parse_recipe(text + judge, overrides=[f"construct.sources.0.{key}={value}" for key, value in keys.items()])


def source(made: Recipe) -> SelfInstructSource | EvolveSource:
    (found,) = made.construct.sources
    assert isinstance(found, SelfInstructSource | EvolveSource)
    return found


def test_steps_end_when_the_pool_is_full_or_their_number_is_reached() -> None:
    made = recipe("self_instruct", tasks=100, prompts=5, proposals=8, steps=2, retries=0)
    own = source(made)
    assert isinstance(own, SelfInstructSource)
    kept = 10 * 8 * READ_SHARE * NEW_SHARE
    requests, kinds, instances = (one.answers for one in self_instruct_of(own, made).asked)
    assert (requests, kinds, instances) == (30, round(3 * kept), round(3 * kept * READ_SHARE))
    assert self_instruct_of(own, made).rows == pytest.approx(kept * READ_SHARE**2 * INSTANCE_SHARE)
    full = recipe("self_instruct", tasks=8, prompts=5, proposals=8, steps=50, retries=0, instances=2)
    small = source(full)
    assert isinstance(small, SelfInstructSource)
    requests, kinds, _ = (one.answers for one in self_instruct_of(small, full).asked)
    assert (requests, kinds) == (9, 24), "8, then 4, then what is missing of them, one request each"
    assert self_instruct_of(small, full).rows == pytest.approx(2 * 8 * READ_SHARE**2 * INSTANCE_SHARE)


def test_generations_multiply_what_is_evolved() -> None:
    made = recipe("evolve", instructions=10, generations=3, samples=2, retries=0)
    own = source(made)
    assert isinstance(own, EvolveSource)
    evolved, compared, answers = (one.answers for one in evolve_of(own, made).asked)
    assert (evolved, compared) == (90, round(90 * READ_SHARE))
    assert answers == round(2 * 90 * READ_SHARE * GAINED_SHARE)
    assert all(one.answer <= one.most == own.max_tokens for one in evolve_of(own, made).asked)


@pytest.mark.parametrize("kind", ["self_instruct", "evolve"])
def test_the_judge_is_shown_what_the_student_wrote(kind: str) -> None:
    (alone,) = supplies_of(recipe(kind))
    assert alone.beside is None
    assert not alone.taught
    made = recipe(kind, JUDGE)
    (supply,) = supplies_of(made)
    assert supply.beside is not None
    load = Load(0, 0, 0, 0, 0, rounds=3, beside=(supply.beside,))
    found = estimate_judging(made, {}, load)
    assert found is not None
    assert "times about new instructions' answers" in found.what
    assert found.answers > 0
    sees = with_the_judge(made, ("Nothing leaves this machine.",), 0)
    assert "it sees requests that the student wrote and its answers to them" in sees[0]
    (taught,) = supplies_of(recipe(kind, "  distill: {teacher: {kind: model, id: another}}\n", by="teacher"))
    assert taught.taught
