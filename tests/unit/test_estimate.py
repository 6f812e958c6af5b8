"""What a run would take, before it is started."""

import pytest

from tutelage.pipeline.estimate import Estimate, StageEstimate, estimate_run
from tutelage.recipe import parse_recipe
from tutelage.tasks.build import build_tasks

RECIPE = "name: small\ntasks: [{kind: safety}]\nevaluate: {probe: 64, gate: 64, test: 64}\n"


def estimated(more: str = "") -> Estimate:
    recipe = parse_recipe(RECIPE + more)
    return estimate_run(recipe, build_tasks(recipe.tasks, recipe.folder))


def stage(of: Estimate, name: str) -> StageEstimate:
    return next(found for found in of.stages if found.stage == name)


def rate(of: StageEstimate) -> float:
    """Tokens a second."""
    assert of.minutes is not None
    return of.tokens / of.minutes / 60


def test_rates_are_those_that_were_measured() -> None:
    own = estimated()
    assert rate(stage(own, "construct")) == pytest.approx(300, rel=0.05)
    for name in ("evaluate (probe)", "gate", "final (test)"):
        assert rate(stage(own, name)) == pytest.approx(rate(stage(own, "construct")), rel=0.05), "one decoder does both"
    assert rate(stage(own, "tune")) == pytest.approx(350, rel=0.05)


def test_the_other_engine_is_the_slower_one() -> None:
    """As docs/decisions/0004 has it, and with it the default."""
    own, other = estimated(), estimated("engines: {sampling: {kind: ctranslate2}}\n")
    assert stage(own, "construct").tokens == stage(other, "construct").tokens
    assert rate(stage(other, "construct")) == pytest.approx(200, rel=0.05)
    assert rate(stage(other, "gate")) == pytest.approx(rate(stage(own, "gate")))


@pytest.mark.parametrize("more", ["model: {id: tiny}\n", "model: {device: cuda}\n"])
def test_no_minutes_are_given_where_no_rate_is_known(more: str) -> None:
    found = estimated(more)
    assert found.minutes is None
    assert found.tokens > 0


def test_rehearsal_is_counted() -> None:
    with_it, without = estimated(), estimated("construct: {rehearsal: null}\n")
    construct, other = stage(with_it, "construct"), stage(without, "construct")
    assert construct.answers - other.answers == 48 * 2 * 2, "prompts × samples × rounds"
    assert construct.tokens - other.tokens == 192 * 150
    assert "48 general instructions × 2" in construct.what
    assert stage(with_it, "tune").tokens > stage(without, "tune").tokens


def test_tuning_is_cut_where_the_recipe_cuts_it() -> None:
    plain, cut, loose = (
        stage(estimated(f"tune: {{epochs: 3, batch_size: 4, max_steps: {most}}}\n"), "tune") for most in (0, 10, 10**6)
    )
    assert plain.tokens == loose.tokens
    assert cut.tokens == 10 * 4 * 130 * 2
    assert "3 epochs, at most 10 steps" in cut.what


def test_the_texts_of_retention_are_counted() -> None:
    asked = "tune: {batch_size: 4, max_steps: 10, retention: {texts: 30, tokens: 50, texts_a_step: 3}}\n"
    with_it, without = (
        stage(estimated(asked), "tune"),
        stage(estimated("tune: {batch_size: 4, max_steps: 10}\n"), "tune"),
    )
    assert with_it.tokens - without.tokens == (30 + 10 * 3) * 50 * 2, "drawn, and held to in each step, in two rounds"
    assert "3 of 30 free texts beside each step" in with_it.what
