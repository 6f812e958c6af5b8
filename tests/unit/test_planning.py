"""From a recipe to the policy of its plan."""

from pathlib import Path

import pytest

from tutelage.evaluate.summary import summarize
from tutelage.events import silent
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.planning import plan_round
from tutelage.pipeline.shop import Shop
from tutelage.recipe import parse_recipe
from tutelage.records import Engine
from tutelage.records.jsonl import write_records
from tutelage.records.scores import Plan
from tutelage.records.tradeoff import CellYield
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

RECIPE = """
name: planned
model: {id: tiny}
engines: {threads: 1}
tasks: [{kind: safety}]
construct: {prompts: 40, distill: DISTILL}
"""


def plan(folder: Path, distill: str, *, accepted: int = 1, tokens: int | None = 0) -> Plan:
    """The plan of round 2, after a first round in which hardly an attempt was accepted."""
    recipe = parse_recipe(RECIPE.replace("DISTILL", distill))
    tasks = build_tasks(recipe.tasks, recipe.folder)
    (task,) = tasks.values()
    dimension = task.dimension
    barren = [
        CellYield(dimension=dimension, level=level, attempted=200, accepted=accepted, tokens=tokens)
        for level in task.levels
    ]
    with RunDirectory.create(folder, recipe) as run, Engines(recipe, offline=True) as engines:
        write_records(folder / "rounds/1/construct/cells.jsonl", barren)
        nobody = Engine(model="tiny", engine="not asked")
        probe = summarize([], split="probe", round=0, label="start", engine=nobody)
        plan_round(Shop(recipe, run, tasks, [], engines, silent), 2, [probe])
    return Plan.from_json((folder / "rounds/2/plan/plan.json").read_bytes())


@pytest.mark.parametrize(("distill", "by"), [("null", "student"), ("{}", "teacher")])
def test_a_plan_names_a_teacher_only_where_there_is_one(distill: str, by: str, tmp_path: Path) -> None:
    found = plan(tmp_path / "run", distill)
    assert {allocation.by for allocation in found.allocations} == {by}
    assert sum(allocation.attempts for allocation in found.allocations) == 40
    assert ("spends on the teacher" in found.model_dump_json()) == (by == "teacher")


def test_unknown_tokens_are_no_reason_for_a_plan(tmp_path: Path) -> None:
    unknown, none = (plan(tmp_path / str(n), "null", accepted=50, tokens=n) for n in (None, 0))
    assert unknown == none
    assert unknown.allocations


def test_a_task_gets_prompts_from_the_round_on_that_samples_it(tmp_path: Path) -> None:
    recipe = parse_recipe(
        "name: later\nrounds: 3\nmodel: {id: tiny}\nengines: {threads: 1}\nconstruct: {prompts: 24}\n"
        "tasks: [{kind: grounded, sample_from: 2}, {kind: safety, sample_from: 3}]\n"
    )
    tasks = build_tasks(recipe.tasks, recipe.folder)
    probe = summarize([], split="probe", round=0, label="start", engine=Engine(model="tiny", engine="not asked"))
    with RunDirectory.create(tmp_path / "run", recipe) as run, Engines(recipe, offline=True) as engines:
        shop = Shop(recipe, run, tasks, [], engines, silent)
        asked = []
        for round in (1, 2, 3):
            asked.append({name for name, _ in plan_round(shop, round, [probe]).numbers})
            write_records(tmp_path / f"run/rounds/{round}/construct/cells.jsonl", list[CellYield]())
    assert asked == [set(), {"grounded"}, {"grounded", "safety"}]
    first = Plan.from_json((tmp_path / "run/rounds/1/plan/plan.json").read_bytes())
    assert "sample_from" in first.words
