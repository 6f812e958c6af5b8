"""What a run would take, before it is started."""

from pathlib import Path

import pytest

from tutelage.pipeline.estimate import Estimate, estimate_run
from tutelage.pipeline.lengths import answer_tokens, row_tokens
from tutelage.pipeline.stage_estimates import StageEstimate
from tutelage.recipe import parse_recipe
from tutelage.tasks.build import build_tasks

RECIPE = "name: small\ntasks: [{kind: safety}]\nevaluate: {probe: 64, gate: 64, test: 64}\n"


def estimated(more: str = "", base: str = RECIPE) -> Estimate:
    recipe = parse_recipe(base + more)
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


def rows(folder: Path, *, check: str, count: int = 100) -> Estimate:
    lines = [f"What is {n} + 1?,{n + 1}" for n in range(count)]
    (folder / "rows.csv").write_text("\n".join(["prompt,reference", *lines]) + "\n")
    task = f"tasks: [{{kind: rows, path: rows.csv, check: {check}, level_samples: 3}}]\n"
    more = "evaluate: {probe: 4, gate: 4, test: 4}\nconstruct: {prompts: 500, rehearsal: null}\n"
    recipe = parse_recipe(f"name: own\nrounds: 2\n{task}{more}").relative_to(folder)
    return estimate_run(recipe, build_tasks(recipe.tasks, folder))


def test_the_levels_of_rows_without_any_are_asked_for(tmp_path: Path) -> None:
    found = rows(tmp_path, check="numeric", count=400)
    assert stage(found, "levels").answers == 400 * 3
    assert "400 rows × 3 answers" in stage(found, "levels").what
    assert found.rounds == 2
    few = rows(tmp_path, check="numeric", count=100)
    assert "levels" not in {one.stage for one in few.stages}, "their test rows would all stand in one level"


def test_rows_without_a_check_are_read_and_never_sampled(tmp_path: Path) -> None:
    found = rows(tmp_path, check="none")
    assert "levels" not in {one.stage for one in found.stages}
    assert stage(found, "construct").answers == 0
    assert found.rounds == 1, "a second round would have the same rows"
    assert found.sees == (
        "No row has a check: no answer is sampled and no teacher is asked.",
        "Nothing leaves this machine.",
    )


def test_a_round_in_which_nothing_is_sampled_asks_nobody() -> None:
    both = stage(estimated("construct: {rehearsal: null}\n"), "construct")
    later = RECIPE.replace("kind: safety", "kind: safety, sample_from: 2")
    recipe = parse_recipe(later + "construct: {rehearsal: null}\n")
    one = stage(estimate_run(recipe, build_tasks(recipe.tasks, recipe.folder)), "construct")
    assert 2 * one.answers == both.answers
    assert "(in 1 round)" in one.what


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


def test_long_references_make_long_answers_and_rows(tmp_path: Path) -> None:
    """Four characters a token: references of 100 and of 250 tokens, the longer cut at the longest answer."""
    (tmp_path / "rows.csv").write_text(f"prompt,reference\n{'?' * 40},{'a' * 400}\n{'!' * 40},{'b' * 1000}\n")
    recipe = parse_recipe("name: own\ntasks: [{kind: rows, path: rows.csv, check: none}]\n").relative_to(tmp_path)
    tasks = build_tasks(recipe.tasks, tmp_path)
    assert answer_tokens(tasks, 192) == (100 + 192) / 2
    assert answer_tokens(tasks, 50) == 50
    assert row_tokens(tasks) == 25 + 10 + (100 + 250) / 2
    both = parse_recipe(RECIPE)
    packaged = build_tasks(both.tasks, both.folder)
    assert (answer_tokens(packaged, 192), row_tokens(packaged)) == (60, 130)
    assert answer_tokens({**tasks, **packaged}, 192) == (146 + 60) / 2


def test_general_prompts_of_the_gate_are_answered_at_length() -> None:
    many, few = (
        stage(estimated(f"evaluate: {{general_prompts: {n}}}\n", "name: small\ntasks: [{kind: safety}]\n"), "gate")
        for n in (40, 30)
    )
    assert many.tokens - few.tokens == 10 * 150 * 2 * 2, "two models in two rounds"


def taught(more: str = "") -> Estimate:
    """A recipe with an endpoint: 240 prompts a round, half of them to the teacher, who answers each 4 times."""
    teacher = f'{{kind: endpoint, base_url: "http://127.0.0.1:1/v1", model: m{more}}}'
    return estimated(f"construct: {{distill: {{teacher: {teacher}}}}}\n")


def test_a_teacher_behind_an_endpoint_costs_its_price() -> None:
    free = taught().teaching
    assert free is not None
    assert free.money is None
    assert "not known" in " ".join(free.words)
    assert "Nothing limits" in free.words[-1]
    priced = taught(", price: {prompt: 2, completion: 8}").teaching
    assert priced is not None
    assert priced.answers == free.answers > 0
    assert priced.money == pytest.approx((2 * priced.prompt_tokens + 8 * priced.completion_tokens) / 1e6, abs=1e-4)
    assert priced.money_at_most == pytest.approx((2 * priced.prompt_tokens + 8 * priced.answers * 192) / 1e6, abs=1e-4)
    assert f"{priced.money:,.2f}" in " ".join(priced.words)


@pytest.mark.parametrize(
    ("ceiling", "enough"),
    [
        ("money: 0.01", False),
        ("money: 1000", True),
        ("tokens: 100", False),
        ("tokens: 100000000", True),
        ("hours: 2", True),
    ],
)
def test_a_ceiling_that_will_not_do_is_said_before_the_start(ceiling: str, enough: bool) -> None:
    found = taught(f", price: {{prompt: 2, completion: 8}}, ceiling: {{{ceiling}}}").teaching
    assert found is not None
    assert found.words[-1].startswith("The ceiling is ")
    assert ("will probably stop" in found.words[-1]) is not enough


def with_the_control(construct: str) -> tuple[Estimate, Estimate]:
    """A recipe with the teacher as a control, and without."""
    own, control = f"construct: {construct}\n", "controls: {teacher: true}\n"
    return estimated(own + control), estimated(own)


def test_a_teacher_that_is_a_control_is_paid_for_the_test_items() -> None:
    teacher = '{kind: endpoint, base_url: "http://127.0.0.1:1/v1", model: m, price: {prompt: 2, completion: 8}}'
    found, other = with_the_control(f"{{distill: {{teacher: {teacher}}}}}")
    final = stage(found, "final (teacher)")
    assert (final.answers, final.minutes) == (stage(other, "final (test)").answers // 3, None)
    assert stage(found, "final (test)") == stage(other, "final (test)")
    assert found.teaching is not None
    assert other.teaching is not None
    assert found.teaching.answers - other.teaching.answers == final.answers
    assert found.teaching.completion_tokens - other.teaching.completion_tokens == final.tokens
    assert (found.teaching.money or 0) > (other.teaching.money or 0)
    assert found.sees == (
        "The teacher is m at http://127.0.0.1:1/v1; it is sent train items with up to 4 expert demonstrations each and "
        f"{final.answers} test items with up to 4 expert demonstrations each, as a control when all is tuned, and "
        "nothing is learned from its answers to these.",
        "Probe and gate items and the student's answers are not sent to it.",
        "Nothing leaves this machine.",
    )


def test_a_teacher_on_this_machine_is_told_of_too() -> None:
    found, _ = with_the_control("{}")
    assert rate(stage(found, "final (teacher)")) == pytest.approx(rate(stage(found, "final (test)")), rel=0.05)
    assert "4 expert demonstrations each and 256 test items with up to 4" in found.sees[0]
    found, _ = with_the_control("{distill: {teacher: {kind: model, id: tiny}}}")
    assert stage(found, "final (teacher)").minutes is None, "no rate of another model is known"
    kd = estimated("construct: {distill: null}\ntune: {objective: {kind: kd, teacher: t}}\ncontrols: {teacher: true}\n")
    assert kd.sees[0].startswith("The teacher is t, run on this machine; it sees 256 test items with no demonstration")


def test_there_is_nothing_to_pay_without_an_endpoint() -> None:
    assert estimated().teaching is None


def test_critiques_of_the_teacher_are_counted_and_what_it_sees_is_told() -> None:
    teacher = "distill: {teacher: {kind: endpoint, base_url: 'http://127.0.0.1:9/v1', model: large}}"
    alone = estimated(f"construct: {{{teacher}}}\n")
    found = estimated(f"construct: {{{teacher}, self_improve: {{critic: teacher}}}}\n")
    more = round(0.7 * 120)
    assert stage(found, "construct").answers - stage(alone, "construct").answers == 2 * more, "rounds × failing lessons"
    assert "120 lessons × 4 + critiques + revisions" in stage(found, "construct").what
    assert found.teaching is not None
    assert alone.teaching is not None
    assert found.teaching.answers - alone.teaching.answers == 2 * more
    assert found.teaching.completion_tokens - alone.teaching.completion_tokens == 2 * more * 60
    assert "expert demonstrations each and the student's failed attempts." in found.sees[0]
    assert found.sees[1] == "Probe, gate and test items and all other answers of the student are not sent to it."
    assert alone.sees[1] == "Probe, gate and test items and the student's answers are not sent to it."
