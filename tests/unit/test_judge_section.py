"""A judge in a recipe: what is refused, what of it may change, whose spending is whose, and what it would cost."""

from pathlib import Path

import pytest

from tutelage.completers.endpoints.spending import Limits, Paid, Purse, Tariff
from tutelage.errors import RecipeError, RunError
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.judged import judge_notes, with_judge
from tutelage.pipeline.spending_for import SpendingFor
from tutelage.recipe import Recipe, parse_recipe
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

BASE = "name: mine\ntasks: [{kind: rows, path: rows.csv, check: CHECK}]\nevaluate: {probe: 2, gate: 2, test: 2}\n"
ENDPOINT = '{kind: endpoint, base_url: "http://127.0.0.1:1/v1", model: m, price: {prompt: 1, completion: 2}}'


def recipe(folder: Path, judge: str, *, check: str = "none", more: str = "", rows: int = 40) -> Recipe:
    lines = [f"What is {n}?,It is number {n}." for n in range(rows)]
    (folder / "rows.csv").write_text("\n".join(["prompt,reference", *lines]) + "\n")
    text = f"{BASE.replace('CHECK', check)}construct:\n  prompts: 10\n  judge: {judge}\n{more}"
    return parse_recipe(text).relative_to(folder)


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        ("{by: {kind: self}, unchecked: false}", "nothing to do"),
        ("{by: {kind: self}, criteria: {}}", "0 are given"),
        ("{by: {kind: self}, criteria: {two words: what}}", "'two words' cannot be used"),
        ("{by: {kind: self}, criteria: {truth: ' '}}", "'truth' cannot be used"),
        ("{by: {kind: nobody}}", "unknown or missing kind"),
        ("{by: {kind: self}, threshold: 0}", "greater than 0"),
        ("{by: {kind: self}, threshold: 1.5}", "less than or equal to 1"),
        ("{by: {kind: self}, best_of: knockout}", "pointwise"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, judge: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, judge)
    assert why in str(caught.value)
    assert "construct.judge" in str(caught.value)


def test_price_and_ceiling_of_the_judge_may_change_and_its_criteria_may_not(tmp_path: Path) -> None:
    begun = recipe(tmp_path, f"{{by: {ENDPOINT}}}")
    with RunDirectory.create(tmp_path / "run", begun) as run, run.stage("rounds/1/plan") as folder:
        (folder / "plan.json").write_text("{}")
    dearer = recipe(tmp_path, f"{{by: {ENDPOINT.replace('completion: 2', 'completion: 9')}}}")
    with RunDirectory.create(tmp_path / "run", dearer) as run:
        assert run.recipe == dearer
    with (
        pytest.raises(RunError, match=r"construct\.judge\.threshold"),
        RunDirectory.create(tmp_path / "run", recipe(tmp_path, f"{{by: {ENDPOINT}, threshold: 0.5}}")),
    ):
        pass


def test_teaching_and_judging_are_counted_apart_in_one_log(tmp_path: Path) -> None:
    file = tmp_path / "spending.jsonl"
    SpendingFor("", file).append(Paid(request="t", prompt_tokens=100, tries=1))
    SpendingFor("judging", file).append(Paid(request="j", prompt_tokens=7, tries=1), Paid(request="k", tries=1))
    assert [line.request for line in SpendingFor("", file).load()] == ["t"]
    assert [line.purpose for line in SpendingFor("judging", file).load()] == ["judging"] * 2
    purse = Purse(Tariff(1e6, 0), Limits(money=10), log=SpendingFor("judging", file))
    assert purse.words.startswith("7 in money, 7 tokens"), "at the judge's price, and without what the teacher took"
    assert len(file.read_bytes().splitlines()) == 3


def test_rows_without_a_check_are_asked_where_there_is_a_judge_for_them(tmp_path: Path) -> None:
    judged = recipe(tmp_path, "{by: {kind: self}}")
    tasks = build_tasks(judged.tasks, tmp_path)
    assert tasks["rows"].items("train", "basic", 99, 0) == []
    asked = with_judge(judged, tasks)["rows"]
    assert asked.items("train", "basic", 99, 0)
    assert tasks["rows"].items("test", "basic", 99, 0) == asked.items("test", "basic", 99, 0)
    chooses = recipe(tmp_path, "{by: {kind: self}, unchecked: false, best_of: pairwise}")
    assert with_judge(chooses, tasks)["rows"].items("train", "basic", 99, 0) == []


@pytest.mark.parametrize(
    ("judge", "check", "asked"),
    [
        (f"{{by: {ENDPOINT}}}", "none", 10 * 3),  # every answer
        (f"{{by: {ENDPOINT}}}", "contains", 0),
        (f"{{by: {ENDPOINT}, best_of: pairwise}}", "contains", 10 * 3 * 2),
        (f"{{by: {ENDPOINT}, best_of: pairwise, candidates: 2}}", "none", 10 * (3 + 2)),
        (f"{{by: {ENDPOINT}, best_of: pointwise}}", "contains", 10 * 3),
        (f"{{by: {ENDPOINT}, best_of: pointwise}}", "none", 10 * 3),  # the scores are there
    ],
)
def test_what_it_would_be_asked_for(tmp_path: Path, judge: str, check: str, asked: int) -> None:
    more = "  self_improve: null\n  distill: {samples: 3}\n"
    made = recipe(tmp_path, judge, check=check, more=more).model_copy(update={"rounds": 1})
    found = estimate_run(made, with_judge(made, build_tasks(made.tasks, tmp_path)))
    assert found.judging is not None
    assert found.judging.answers == asked
    stage = next(stage for stage in found.stages if stage.stage == "judge")
    assert (stage.answers, stage.tokens) == (asked, found.judging.completion_tokens)
    money = (found.judging.prompt_tokens + 2 * found.judging.completion_tokens) / 1e6
    assert found.judging.money == pytest.approx(money, abs=1e-4)
    assert "Nothing limits what is spent on judging" in " ".join(found.judging.words)
    assert "The judge is m at http://127.0.0.1:1/v1" in " ".join(found.sees)


@pytest.mark.parametrize(
    ("judge", "more", "said"),
    [
        ("{by: {kind: self}}", "", "The judge is the starting model"),
        ("{by: {kind: model, id: default}}", "", "The judge is the starting model"),
        (f"{{by: {ENDPOINT}}}", f"  distill: {{teacher: {ENDPOINT}}}\n", "The judge is the teacher"),
        (f"{{by: {ENDPOINT}}}", "", ""),
    ],
)
def test_a_judge_of_its_own_answers_is_said(tmp_path: Path, judge: str, more: str, said: str) -> None:
    notes = judge_notes(recipe(tmp_path, judge, more=more))
    assert [note.startswith(said) for note in notes] == ([True] if said else [])
